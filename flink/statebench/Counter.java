package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** Counts the events of each key: {@code src/operator/counter.rs}. */
final class Counter extends Operator {
    private transient ValueState<Long> count;

    Counter(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        count = context.getState(spec.withTtl(new ValueStateDescriptor<>("count", Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Long before = count.value();
        long after = (before == null ? 0 : before) + 1;
        count.update(after);
        out.emit(event, after);
    }
}
