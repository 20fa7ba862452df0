package statebench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.TimerService;

/** The n rows of each key with the largest values: {@code src/operator/top_n.rs}. */
final class TopN extends Operator {
    /** Values are below this: {@code VALUE_RANGE} of {@code src/workload/inputs.rs}. */
    private transient long valueRange;

    private transient MapState<Long, List<Tuple2<Long, byte[]>>> sorted;
    private transient long n;

    TopN(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        n = spec.number("n");
        valueRange = spec.number("value-range");
        sorted = context.getMapState(spec.withTtl(new MapStateDescriptor<>("sorted", Types.LONG, Types.LIST(Rows.ROW))));
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        TreeMap<Long, List<Tuple2<Long, byte[]>>> filled = new TreeMap<>();
        for (long rank = 0; rank < n; rank++) {
            long value = Long.remainderUnsigned(Hashing.mix(event.value, rank), valueRange);
            filled.computeIfAbsent(value, any -> new ArrayList<>())
                    .add(Tuple2.of(event.sequence, payloadOfEntry(event.payload, rank)));
        }
        sorted.putAll(filled);
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        long held = 0;
        long least = Long.MAX_VALUE;
        for (Map.Entry<Long, List<Tuple2<Long, byte[]>>> entry : sorted.entries()) {
            held += entry.getValue().size();
            least = Math.min(least, entry.getKey());
        }
        boolean isFull = held >= n;
        if (isFull && event.value <= least) {
            return;
        }
        Tuple2<Long, byte[]> row = Tuple2.of(event.sequence, event.payload);
        List<Tuple2<Long, byte[]>> rows = sorted.get(event.value);
        if (rows == null) {
            rows = new ArrayList<>();
        }
        rows.add(row);
        sorted.put(event.value, rows);
        if (isFull) {
            out.emitChange(event, Collected.DELETE, Rows.hash(retire(least)));
        }
        out.emitChange(event, Collected.INSERT, Rows.hash(row));
    }

    /** Removes the last row of the least value. */
    private Tuple2<Long, byte[]> retire(long least) throws Exception {
        List<Tuple2<Long, byte[]>> rows = sorted.get(least);
        Tuple2<Long, byte[]> row = rows.remove(rows.size() - 1);
        if (rows.isEmpty()) {
            sorted.remove(least);
        } else {
            sorted.put(least, rows);
        }
        return row;
    }
}
