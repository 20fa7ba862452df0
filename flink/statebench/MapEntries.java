package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** One entry of a map of each key, read, changed and written: {@code src/operator/map.rs}. */
final class MapEntries extends Operator {
    private transient MapState<Long, byte[]> map;
    private transient long entries;

    MapEntries(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        entries = spec.number("entries");
        map = context.getMapState(spec.withTtl(new MapStateDescriptor<>("map", Types.LONG, Rows.PAYLOAD)));
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        for (long entry = 0; entry < entries; entry++) {
            map.put(entry, payloadOfEntry(event.payload, entry));
        }
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        long entry = entryOf(event, entries);
        byte[] before = map.get(entry);
        map.put(entry, event.payload);
        out.emit(event, before == null ? 0 : Hashing.head(before));
    }
}
