package statebench;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.TimerService;

/** Joins a changing table with a changing dimension: {@code src/operator/changelog_join.rs}. */
final class ChangelogJoin extends Operator {
    /** The input of changes to the dimension. */
    private static final int DIMENSION = 1;

    private transient MapState<Long, Tuple2<Long, Long>> rows;
    private transient ValueState<Tuple2<Long, Long>> dimension;

    ChangelogJoin(Spec spec) {
        super(spec);
    }

    @Override
    boolean hasPrefill() {
        return false;
    }

    @Override
    void open(RuntimeContext context) {
        rows = context.getMapState(
                spec.withTtl(new MapStateDescriptor<>("orders", Types.LONG, Types.TUPLE(Types.LONG, Types.LONG))));
        dimension = context.getState(
                spec.withTtl(new ValueStateDescriptor<>("customer", Types.TUPLE(Types.LONG, Types.LONG))));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        if (event.stream == DIMENSION) {
            moveKey(event, out);
        } else {
            changeRow(event, out);
        }
    }

    private void changeRow(Event event, Collected out) throws Exception {
        Tuple2<Long, Long> before = rows.get(event.other);
        if (before != null && before.f0 > event.timeMs) {
            out.countLate(event.sequence);
            return;
        }
        boolean isDeletion = event.operation == Event.DELETE;
        if (!isDeletion) {
            rows.put(event.other, Tuple2.of(event.timeMs, event.value));
        } else if (before != null) {
            rows.remove(event.other);
        }
        Tuple2<Long, Long> known = dimension.value();
        if (known == null) {
            return;
        }
        long key = Hashing.asLong(event.key);
        if (before != null) {
            out.emitRow(event, key, -before.f1, known.f1);
        }
        if (!isDeletion) {
            out.emitRow(event, key, event.value, known.f1);
        }
    }

    private void moveKey(Event event, Collected out) throws Exception {
        Tuple2<Long, Long> before = dimension.value();
        if (before != null && before.f0 > event.timeMs) {
            out.countLate(event.sequence);
            return;
        }
        dimension.update(Tuple2.of(event.timeMs, event.value));
        if (before != null && before.f1 == event.value) {
            return;
        }
        TreeMap<Long, Long> moving = new TreeMap<>();
        for (Map.Entry<Long, Tuple2<Long, Long>> row : rows.entries()) {
            moving.put(row.getKey(), row.getValue().f1);
        }
        long key = Hashing.asLong(event.key);
        for (long amount : moving.values()) {
            if (before != null) {
                out.emitRow(event, key, -amount, before.f1);
            }
            out.emitRow(event, key, amount, event.value);
        }
    }
}
