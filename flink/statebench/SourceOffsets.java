package statebench;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.streaming.api.TimerService;

/**
 * A source that reads the partitions of a topic and keeps in operator state how far it is: {@code src/operator/source_offsets.rs}.
 * Every subtask is given all events and leaves those of partitions that are not its own.
 */
final class SourceOffsets extends Operator {
    private transient ListState<Tuple2<Long, Long>> offsets;
    private transient TreeMap<Long, Long> next;
    private transient long partitions;

    SourceOffsets(Spec spec) {
        super(spec);
    }

    @Override
    boolean hasPrefill() {
        return false;
    }

    @Override
    void initialize(FunctionInitializationContext context, int subtask, int parallelism) throws Exception {
        partitions = spec.number("partitions");
        boolean isUnion = spec.text("redistribution").equals("union");
        ListStateDescriptor<Tuple2<Long, Long>> descriptor =
                new ListStateDescriptor<>("partition-offsets", Types.TUPLE(Types.LONG, Types.LONG));
        offsets = isUnion
                ? context.getOperatorStateStore().getUnionListState(descriptor)
                : context.getOperatorStateStore().getListState(descriptor);
        next = new TreeMap<>();
        if (context.isRestored()) {
            for (Tuple2<Long, Long> offset : offsets.get()) {
                if (!isUnion || offset.f0 % parallelism == subtask) {
                    next.put(offset.f0, offset.f1);
                }
            }
            return;
        }
        for (long partition = subtask; partition < partitions; partition += parallelism) {
            next.put(partition, 0L);
        }
    }

    @Override
    void snapshot() throws Exception {
        offsets.clear();
        for (Map.Entry<Long, Long> offset : next.entrySet()) {
            offsets.add(Tuple2.of(offset.getKey(), offset.getValue()));
        }
    }

    @Override
    void open(RuntimeContext context) {}

    @Override
    void process(Event event, TimerService time, Collected out) {
        long partition = Math.floorMod(event.keyNumber, partitions);
        Long offset = next.get(partition);
        if (offset != null) {
            out.emitRow(event, partition, offset, event.value);
            next.put(partition, offset + 1);
        }
    }
}
