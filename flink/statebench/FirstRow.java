package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** Lets the first event of each key through: {@code FirstRow} of {@code src/operator/deduplicate.rs}. */
final class FirstRow extends Operator {
    private transient ValueState<Long> seen;

    FirstRow(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        seen = context.getState(spec.withTtl(new ValueStateDescriptor<>("seen", Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        if (seen.value() != null) {
            return;
        }
        seen.update(1L);
        out.emitRow(event, Hashing.asLong(event.key), event.value, event.other);
    }
}
