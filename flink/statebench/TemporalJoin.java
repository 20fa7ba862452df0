package statebench;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.TimerService;

/** The join of events with the version of a dimension that was valid at their time: {@code src/operator/temporal_join.rs}. */
final class TemporalJoin extends Operator {
    private static final TypeInformation<Tuple3<Long, Long, byte[]>> TIMED_ROW = Types.TUPLE(Types.LONG, Types.LONG, Rows.PAYLOAD);

    private transient MapState<Long, Tuple3<Long, Long, byte[]>> leftRows;
    private transient MapState<Long, Tuple3<Long, Long, byte[]>> versions;
    private transient ValueState<Long> nextIndex;
    private transient ValueState<Long> registeredTimer;

    TemporalJoin(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        leftRows = context.getMapState(spec.withTtl(new MapStateDescriptor<>("left-rows", Types.LONG, TIMED_ROW)));
        versions = context.getMapState(spec.withTtl(new MapStateDescriptor<>("versions", Types.LONG, TIMED_ROW)));
        nextIndex = context.getState(spec.withTtl(new ValueStateDescriptor<>("next-index", Types.LONG)));
        registeredTimer = context.getState(spec.withTtl(new ValueStateDescriptor<>("registered-timer", Types.LONG)));
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        versions.put(event.timeMs, Tuple3.of(event.timeMs, event.value, event.payload));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Tuple3<Long, Long, byte[]> row = Tuple3.of(event.timeMs, event.value, event.payload);
        if (event.stream == 0) {
            Long index = nextIndex.value();
            index = index == null ? 0 : index;
            nextIndex.update(index + 1);
            leftRows.put(index, row);
        } else {
            versions.put(event.timeMs, row);
        }
        registerSmallestTimer(event.timeMs, time);
    }

    private void registerSmallestTimer(long timeMs, TimerService time) throws Exception {
        Long registered = registeredTimer.value();
        if (registered != null && registered <= timeMs) {
            return;
        }
        if (registered != null) {
            time.deleteEventTimeTimer(registered);
        }
        register(timeMs, time);
    }

    private void register(long timeMs, TimerService time) throws Exception {
        registeredTimer.update(timeMs);
        time.registerEventTimeTimer(timeMs);
    }

    @Override
    void onTimer(Object key, long timeMs, TimerService time, Collected out) throws Exception {
        registeredTimer.clear();
        long watermarkMs = time.currentWatermark();
        Map<Long, Tuple3<Long, Long, byte[]>> due = new TreeMap<>();
        Long nextMs = null;
        for (Map.Entry<Long, Tuple3<Long, Long, byte[]>> row : leftRows.entries()) {
            long rowMs = row.getValue().f0;
            if (rowMs <= watermarkMs) {
                due.put(row.getKey(), row.getValue());
            } else if (nextMs == null || rowMs < nextMs) {
                nextMs = rowMs;
            }
        }
        for (Long index : due.keySet()) {
            leftRows.remove(index);
        }
        TreeMap<Long, Long> sorted = new TreeMap<>();
        for (Map.Entry<Long, Tuple3<Long, Long, byte[]>> version : versions.entries()) {
            sorted.put(version.getKey(), Hashing.row(version.getValue().f1, version.getValue().f2));
        }
        long fingerprint = Hashing.fingerprint(key);
        due.forEach((index, row) -> {
            Map.Entry<Long, Long> version = sorted.floorEntry(row.f0);
            if (version != null) {
                long result = Hashing.mix(Hashing.row(row.f1, row.f2), version.getValue());
                out.emitOf(Hashing.mix(fingerprint, index), result);
            }
        });
        removeOldVersions(sorted, watermarkMs);
        if (nextMs != null) {
            register(nextMs, time);
        }
    }

    /** Removes the versions that the watermark has passed, but for the last of them. */
    private void removeOldVersions(TreeMap<Long, Long> sorted, long watermarkMs) throws Exception {
        List<Long> passed = new ArrayList<>(sorted.headMap(watermarkMs, true).keySet());
        for (int i = 0; i + 1 < passed.size(); i++) {
            versions.remove(passed.get(i));
        }
    }
}
