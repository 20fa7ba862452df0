package statebench;

import org.apache.flink.api.common.functions.ReduceFunction;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ReducingState;
import org.apache.flink.api.common.state.ReducingStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** A running reduction of the values of each key: {@code src/operator/reduce.rs}. */
final class Reduce extends Operator {
    private transient ReducingState<Long> reduced;
    private transient boolean emits;

    Reduce(Spec spec) {
        super(spec);
    }

    static ReduceFunction<Long> function(String name) {
        switch (name) {
            case "sum":
                return Long::sum;
            case "max":
                return Math::max;
            default:
                throw new IllegalArgumentException("no reduce function " + name);
        }
    }

    @Override
    void open(RuntimeContext context) {
        emits = spec.flag("emit");
        reduced = context.getReducingState(
                spec.withTtl(new ReducingStateDescriptor<>("reduced", function(spec.text("function")), Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        reduced.add(event.value);
        if (emits) {
            Long now = reduced.get();
            out.emit(event, now == null ? 0 : now);
        }
    }
}
