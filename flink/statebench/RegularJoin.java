package statebench;

import java.util.Map;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.streaming.api.TimerService;

/** The unbounded join of two inputs by key, with retractions: {@code src/operator/regular_join.rs}. */
final class RegularJoin extends Operator {
    private transient MapState<RowKey, Integer> left;
    private transient MapState<RowKey, Integer> right;

    RegularJoin(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        left = context.getMapState(spec.withTtl(side("left")));
        right = context.getMapState(spec.withTtl(side("right")));
    }

    private static MapStateDescriptor<RowKey, Integer> side(String name) {
        return new MapStateDescriptor<>(name, new RowKey.Serializer(), IntSerializer.INSTANCE);
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        boolean isLeft = event.stream == 0;
        MapState<RowKey, Integer> own = isLeft ? left : right;
        RowKey row = new RowKey(event.value, event.payload);
        boolean isDeletion = event.operation == Event.DELETE;
        Integer kept = own.get(row);
        int times = kept == null ? 0 : kept;
        if (!isDeletion) {
            own.put(row, times + 1);
        } else if (times == 1) {
            own.remove(row);
        } else if (times > 1) {
            own.put(row, times - 1);
        }
        int kind = isDeletion ? Collected.DELETE : Collected.INSERT;
        for (Map.Entry<RowKey, Integer> other : (isLeft ? right : left).entries()) {
            RowKey leftRow = isLeft ? row : other.getKey();
            RowKey rightRow = isLeft ? other.getKey() : row;
            for (int i = 0; i < other.getValue(); i++) {
                out.emitPair(event, kind, leftRow.value, leftRow.hash(), rightRow.value, rightRow.hash());
            }
        }
    }
}
