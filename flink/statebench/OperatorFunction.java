package statebench;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Runs an operator over events of the source, or over rows of an operator before it: {@code OperatorSubtask} of {@code src/run/drive.rs}. */
final class OperatorFunction<IN> extends KeyedProcessFunction<Object, IN, Row> implements CheckpointedFunction {
    private static final long serialVersionUID = 1;
    private final Spec spec;
    private final Operator operator;
    private transient Collected collected;
    private transient Collected ignored;
    private transient Probe probe;
    private transient VirtualTime.Clock clock;
    private transient Event ofRow;

    OperatorFunction(Spec spec, Operator operator) {
        this.spec = spec;
        this.operator = operator;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        collected = new Collected(spec);
        ignored = new Collected(spec.silent());
        collected.initialize(context);
        operator.initialize(
                context,
                getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(),
                getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks());
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        collected.snapshot();
        operator.snapshot();
    }

    @Override
    public void open(OpenContext context) {
        clock = VirtualTime.ofThisOperator();
        if (spec.place() == 0) {
            probe = Probe.open();
        }
        ofRow = new Event();
        ofRow.payload = new byte[0];
        operator.open(getRuntimeContext());
    }

    @Override
    public void processElement(IN input, Context context, Collector<Row> out) throws Exception {
        Event event = input instanceof Event ? (Event) input : eventOf((Row) input, context.getCurrentKey());
        clock.set(event.processingMs);
        if (event.isPrefill) {
            if (operator.hasPrefill()) {
                operator.prefill(event, context.timerService(), ignored);
            }
            return;
        }
        collected.to(out);
        operator.process(event, context.timerService(), collected);
    }

    private Event eventOf(Row row, Object key) {
        ofRow.sequence = row.sequence;
        ofRow.timeMs = row.timeMs;
        ofRow.watermarkMs = row.watermarkMs;
        ofRow.processingMs = row.processingMs;
        ofRow.key = key;
        ofRow.value = row.value;
        ofRow.other = row.other;
        return ofRow;
    }

    @Override
    public void onTimer(long timeMs, OnTimerContext context, Collector<Row> out) throws Exception {
        if (context.timerService().currentWatermark() == Long.MAX_VALUE) {
            return; // the end of the file, which is not the end of the stream
        }
        collected.to(out);
        operator.onTimer(context.getCurrentKey(), timeMs, context.timerService(), collected);
    }

    @Override
    public void close() {
        if (collected == null) {
            return;
        }
        collected.report(getRuntimeContext());
        if (probe != null) {
            Probe.report(probe, getRuntimeContext());
        }
    }
}
