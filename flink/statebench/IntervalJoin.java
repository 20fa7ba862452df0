package statebench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.TimerService;

/**
 * The join of two inputs whose events are near each other in time: {@code src/operator/interval_join.rs}. The inputs come in one
 * stream, so that their order is the same in every run; Flink's {@code IntervalJoinOperator} names the side in the timer, here one
 * timer removes what both sides have of its time.
 */
final class IntervalJoin extends Operator {
    private static final TypeInformation<List<Tuple2<Boolean, Tuple2<Long, byte[]>>>> BUCKET =
            Types.LIST(Types.TUPLE(Types.BOOLEAN, Rows.ROW));

    private transient MapState<Long, List<Tuple2<Boolean, Tuple2<Long, byte[]>>>> left;
    private transient MapState<Long, List<Tuple2<Boolean, Tuple2<Long, byte[]>>>> right;
    private transient long lowerMs;
    private transient long upperMs;

    IntervalJoin(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        lowerMs = spec.number("lower-ms");
        upperMs = spec.number("upper-ms");
        left = context.getMapState(spec.withTtl(new MapStateDescriptor<>("left-buffer", Types.LONG, BUCKET)));
        right = context.getMapState(spec.withTtl(new MapStateDescriptor<>("right-buffer", Types.LONG, BUCKET)));
    }

    @Override
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        if (event.timeMs + keptMs(event.stream == 0) >= 0) {
            process(event, time, ignored);
        }
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        boolean isLeft = event.stream == 0;
        if (event.timeMs < time.currentWatermark()) {
            out.countLate(event.sequence);
            return;
        }
        MapState<Long, List<Tuple2<Boolean, Tuple2<Long, byte[]>>>> own = isLeft ? left : right;
        long from = event.timeMs + (isLeft ? lowerMs : -upperMs);
        long to = event.timeMs + (isLeft ? upperMs : -lowerMs);
        Tuple2<Long, byte[]> row = Rows.take(event);
        long hash = Rows.hash(row);
        List<Tuple2<Boolean, Tuple2<Long, byte[]>>> bucket = own.get(event.timeMs);
        if (bucket == null) {
            bucket = new ArrayList<>();
        }
        bucket.add(Tuple2.of(false, row));
        own.put(event.timeMs, bucket);
        for (Map.Entry<Long, List<Tuple2<Boolean, Tuple2<Long, byte[]>>>> others : (isLeft ? right : left).entries()) {
            if (others.getKey() < from || others.getKey() > to) {
                continue;
            }
            for (Tuple2<Boolean, Tuple2<Long, byte[]>> element : others.getValue()) {
                Tuple2<Long, byte[]> other = element.f1;
                if (isLeft) {
                    out.emitPair(event, Collected.INSERT, row.f0, hash, other.f0, Rows.hash(other));
                } else {
                    out.emitPair(event, Collected.INSERT, other.f0, Rows.hash(other), row.f0, hash);
                }
            }
        }
        time.registerEventTimeTimer(event.timeMs + keptMs(isLeft));
    }

    @Override
    void onTimer(Object key, long timeMs, TimerService time, Collected out) throws Exception {
        left.remove(timeMs - keptMs(true));
        right.remove(timeMs - keptMs(false));
    }

    private long keptMs(boolean isLeft) {
        return Math.max(0, isLeft ? upperMs : -lowerMs);
    }
}
