package statebench;

import java.util.Map;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.BroadcastState;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.streaming.api.TimerService;

/**
 * Events matched against rules that every subtask has: {@code src/operator/broadcast_rules.rs}. Events and changes of rules come in
 * one stream, in the files of all subtasks, so that their order is the same in every run.
 */
final class BroadcastRules extends Operator {
    private transient BroadcastState<Long, Tuple2<Long, Long>> rules;
    private transient MapState<Long, Long> matches;
    private transient long width;
    private transient long valueRange;
    private transient int ruleInput;

    BroadcastRules(Spec spec) {
        super(spec);
    }

    @Override
    void initialize(FunctionInitializationContext context, int subtask, int parallelism) throws Exception {
        width = spec.number("width");
        valueRange = spec.number("value-range");
        ruleInput = (int) spec.number("rule-input");
        rules = context.getOperatorStateStore()
                .getBroadcastState(new MapStateDescriptor<>("rules", Types.LONG, Types.TUPLE(Types.LONG, Types.LONG)));
        if (!context.isRestored()) {
            long count = spec.number("rules");
            for (long id = 0; id < count; id++) {
                rules.put(id, rule(id * valueRange / count));
            }
        }
    }

    private Tuple2<Long, Long> rule(long start) {
        long low = Math.floorMod(start, valueRange) * (valueRange - width + 1) / valueRange;
        return Tuple2.of(low, low + width);
    }

    @Override
    void open(RuntimeContext context) {
        matches = context.getMapState(spec.withTtl(new MapStateDescriptor<>("matches", Types.LONG, Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        if (event.stream == ruleInput) {
            rules.put(event.other, rule(event.value));
            return;
        }
        for (Map.Entry<Long, Tuple2<Long, Long>> entry : rules.entries()) {
            Tuple2<Long, Long> rule = entry.getValue();
            if (event.value >= rule.f0 && event.value < rule.f1) {
                Long before = matches.get(entry.getKey());
                long count = (before == null ? 0 : before) + 1;
                matches.put(entry.getKey(), count);
                out.emitRow(event, Hashing.asLong(event.key), count, entry.getKey());
            }
        }
    }
}
