package statebench;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** The same as {@link MapEntries}, with the whole map in one value: {@code src/operator/value_of_map.rs}. */
final class ValueOfMap extends Operator {
    private transient ValueState<Map<Long, byte[]>> map;
    private transient long entries;

    ValueOfMap(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        entries = spec.number("entries");
        map = context.getState(spec.withTtl(new ValueStateDescriptor<>("map", Types.MAP(Types.LONG, Rows.PAYLOAD))));
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        Map<Long, byte[]> filled = new HashMap<>();
        for (long entry = 0; entry < entries; entry++) {
            filled.put(entry, payloadOfEntry(event.payload, entry));
        }
        map.update(filled);
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Map<Long, byte[]> kept = map.value();
        if (kept == null) {
            kept = new HashMap<>();
        }
        byte[] before = kept.put(entryOf(event, entries), event.payload);
        map.update(kept);
        out.emit(event, before == null ? 0 : Hashing.head(before));
    }
}
