package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.TimerService;

/** The join of two inputs that lasts as long as the left row: {@code src/operator/continuous_join.rs}. */
final class ContinuousJoin extends Operator {
    private transient ValueState<Tuple2<Long, byte[]>> left;
    private transient ListState<Tuple2<Long, byte[]>> right;
    private transient long finishBelow;

    ContinuousJoin(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        finishBelow = spec.number("finish-below");
        left = context.getState(spec.withTtl(new ValueStateDescriptor<>("left", Rows.ROW)));
        right = context.getListState(spec.withTtl(new ListStateDescriptor<>("right", Rows.ROW)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Tuple2<Long, byte[]> row = Rows.take(event);
        long hash = Rows.hash(row);
        if (event.stream != 0) {
            Tuple2<Long, byte[]> open = left.value();
            if (open == null) {
                right.add(row);
            } else {
                out.emitPair(event, Collected.INSERT, open.f0, Rows.hash(open), row.f0, hash);
            }
            return;
        }
        if (event.value < finishBelow) {
            left.clear();
            right.clear();
            return;
        }
        for (Tuple2<Long, byte[]> waiting : right.get()) {
            out.emitPair(event, Collected.INSERT, row.f0, hash, waiting.f0, Rows.hash(waiting));
        }
        right.clear();
        left.update(row);
    }
}
