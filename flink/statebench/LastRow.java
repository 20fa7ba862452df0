package statebench;

import java.util.Arrays;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.TimerService;

/** Keeps the last event of each key and emits every change of it: {@code LastRow} of {@code src/operator/deduplicate.rs}. */
final class LastRow extends Operator {
    private transient ValueState<Tuple2<Long, byte[]>> seen;
    private transient boolean emitsEqual;

    LastRow(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        emitsEqual = spec.hasTtl("seen");
        seen = context.getState(spec.withTtl(new ValueStateDescriptor<>("seen", Rows.ROW)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Tuple2<Long, byte[]> row = Rows.take(event);
        Tuple2<Long, byte[]> before = seen.value();
        seen.update(row);
        if (before == null) {
            out.emitChange(event, Collected.INSERT, Rows.hash(row));
        } else if (emitsEqual || !before.f0.equals(row.f0) || !Arrays.equals(before.f1, row.f1)) {
            out.emitChange(event, Collected.UPDATE_BEFORE, Rows.hash(before));
            out.emitChange(event, Collected.UPDATE_AFTER, Rows.hash(row));
        }
    }
}
