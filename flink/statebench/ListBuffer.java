package statebench;

import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.TimerService;

/** Buffers the payloads of each key and hands them on together: {@code src/operator/list_buffer.rs}. */
final class ListBuffer extends Operator {
    private transient ListState<byte[]> list;
    private transient ValueState<Long> length;
    private transient long clearEvery;

    ListBuffer(Spec spec) {
        super(spec);
    }

    @Override
    void open(RuntimeContext context) {
        clearEvery = spec.number("clear-every");
        list = context.getListState(spec.withTtl(new ListStateDescriptor<>("buffer", Rows.PAYLOAD)));
        length = context.getState(spec.withTtl(new ValueStateDescriptor<>("length", Types.LONG)));
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        Long before = length.value();
        long now = (before == null ? 0 : before) + 1;
        list.add(event.payload);
        if (now < clearEvery) {
            length.update(now);
            return;
        }
        long content = 0;
        for (byte[] payload : list.get()) {
            content = Hashing.mix(content, Hashing.head(payload));
        }
        out.emit(event, content);
        list.clear();
        length.clear();
    }
}
