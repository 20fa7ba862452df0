package statebench;

import java.util.Map;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** A synthetic mix of state accesses: {@code src/operator/mix.rs}. */
final class Mix extends Operator {
    private transient ValueState<byte[]> value;
    private transient ListState<byte[]> list;
    private transient MapState<Long, byte[]> map;
    private transient long entries;

    Mix(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        entries = spec.number("entries");
        value = context.getState(spec.withTtl(new ValueStateDescriptor<>("value", Rows.PAYLOAD)));
        if (spec.flag("appends")) {
            list = context.getListState(spec.withTtl(new ListStateDescriptor<>("list", Rows.PAYLOAD)));
        }
        if (spec.flag("scans")) {
            map = context.getMapState(spec.withTtl(new MapStateDescriptor<>("map", Types.LONG, Rows.PAYLOAD)));
        }
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        if (map == null) {
            value.update(event.payload);
            return;
        }
        for (long entry = 0; entry < entries; entry++) {
            map.put(entry, payloadOfEntry(event.payload, entry));
        }
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        switch (event.operation) {
            case Event.READ:
                byte[] read = value.value();
                out.emit(event, read == null ? 0 : Hashing.head(read));
                break;
            case Event.UPDATE:
                value.update(event.payload);
                break;
            case Event.READ_MODIFY_WRITE:
                readModifyWrite(event, out);
                break;
            case Event.INSERT:
                if (map != null) {
                    map.put(event.sequence, event.payload);
                } else {
                    value.update(event.payload);
                }
                break;
            case Event.APPEND:
                list.add(event.payload);
                break;
            case Event.DELETE:
                value.clear();
                if (list != null) {
                    list.clear();
                }
                break;
            case Event.SCAN:
                long sum = 0;
                for (Map.Entry<Long, byte[]> entry : map.entries()) {
                    sum += Hashing.mix(entry.getKey(), Hashing.head(entry.getValue()));
                }
                out.emit(event, sum);
                break;
            default:
                throw new IllegalArgumentException("no operation " + event.operation);
        }
    }

    private void readModifyWrite(Event event, Collected out) throws Exception {
        byte[] kept = value.value();
        byte[] changed = kept == null ? event.payload : kept;
        out.emit(event, Hashing.head(changed));
        if (changed.length >= 8) {
            long head = Hashing.word(changed, 0) + 1;
            for (int i = 0; i < 8; i++) {
                changed[i] = (byte) (head >>> 8 * i);
            }
        }
        value.update(changed);
    }
}
