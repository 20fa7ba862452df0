package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** The running total of the values of each key: {@code src/operator/running_total.rs}. */
final class RunningTotal extends Operator {
    private transient ValueState<Long> total;

    RunningTotal(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        total = context.getState(spec.withTtl(new ValueStateDescriptor<>("total", Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Long before = total.value();
        long after = (before == null ? 0 : before) + event.value;
        total.update(after);
        out.emit(event, after);
        out.keepLatest(Hashing.asLong(event.key), after);
    }
}
