package statebench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.datastream.WindowedStream;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.WindowAssigner;
import org.apache.flink.streaming.api.windowing.triggers.EventTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.triggers.TriggerResult;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Windows of Flink, with what their twins in {@code src/operator/window} keep and emit. */
final class Windows {
    private Windows() {}

    /** Whether windows keep the bytes of events: then the stream is one of {@link Element}. */
    static boolean keepsBytes(Spec spec) {
        return spec.text("contents").equals("list") || spec.text("contents").equals("join");
    }

    static <IN> DataStream<Row> apply(KeyedStream<IN, Object> stream, Spec spec) {
        OutputTag<IN> late = new OutputTag<>("late", stream.getType());
        WindowedStream<IN, Object, TimeWindow> windows = stream.window(assigner(spec))
                .trigger(new UntilEnd())
                .allowedLateness(Duration.ofMillis(spec.number("allowed-lateness-ms")))
                .sideOutputLateData(late);
        SingleOutputStreamOperator<Row> results = contents(windows, spec);
        results.getSideOutput(late)
                .process(new Late<IN>(spec), Job.ROWS)
                .sinkTo(new DiscardingSink<>());
        return results;
    }

    private static WindowAssigner<Object, TimeWindow> assigner(Spec spec) {
        switch (spec.text("windows")) {
            case "sliding":
                Duration size = Duration.ofMillis(spec.number("size-ms"));
                Duration slide = Duration.ofMillis(spec.number("slide-ms"));
                return size.equals(slide) ? TumblingEventTimeWindows.of(size) : SlidingEventTimeWindows.of(size, slide);
            case "session":
                return EventTimeSessionWindows.withGap(Duration.ofMillis(spec.number("gap-ms")));
            default:
                throw new IllegalArgumentException("no windows " + spec.text("windows"));
        }
    }

    @SuppressWarnings("unchecked")
    private static <IN> SingleOutputStreamOperator<Row> contents(WindowedStream<IN, Object, TimeWindow> windows, Spec spec) {
        switch (spec.text("contents")) {
            case "reduce":
                return windows.aggregate(
                        new Reduced<IN>(spec.text("function").equals("max")), new OfOne(spec), Types.LONG, Types.LONG, Job.ROWS);
            case "average":
                return windows.aggregate(
                        new OfValues<IN, org.apache.flink.api.java.tuple.Tuple2<Long, Long>>(new Aggregate.Average()),
                        new OfOne(spec), Aggregate.Average.TYPE, Types.LONG, Job.ROWS);
            case "summary":
                return windows.aggregate(
                        new OfValues<IN, org.apache.flink.api.java.tuple.Tuple3<Long, Long, Long>>(new Aggregate.Summary()),
                        new OfOne(spec), Aggregate.Summary.TYPE, Types.LONG, Job.ROWS);
            case "list":
                return ((WindowedStream<Element, Object, TimeWindow>) windows).process(new OfList(spec), Job.ROWS);
            case "join":
                return ((WindowedStream<Element, Object, TimeWindow>) windows).process(new OfSides(spec), Job.ROWS);
            default:
                throw new IllegalArgumentException("no contents " + spec.text("contents"));
        }
    }

    private static long value(Object input) {
        return input instanceof Event ? ((Event) input).value : ((Row) input).value;
    }

    private static long sequence(Object input) {
        if (input instanceof Element) {
            return ((Element) input).sequence;
        }
        return input instanceof Event ? ((Event) input).sequence : ((Row) input).sequence;
    }

    /** Incremental: the values reduced to one: {@code Reduced}. */
    private static final class Reduced<IN> implements AggregateFunction<IN, Long, Long> {
        private static final long serialVersionUID = 1;
        private final boolean isMax;

        Reduced(boolean isMax) {
            this.isMax = isMax;
        }

        @Override
        public Long createAccumulator() {
            return isMax ? Long.MIN_VALUE : 0;
        }

        @Override
        public Long add(IN input, Long kept) {
            return merge(kept, value(input));
        }

        @Override
        public Long getResult(Long kept) {
            return kept;
        }

        @Override
        public Long merge(Long a, Long b) {
            return isMax ? Math.max(a, b) : a + b;
        }
    }

    /** Incremental: the values aggregated: {@code Aggregated}. */
    private static final class OfValues<IN, A> implements AggregateFunction<IN, A, Long> {
        private static final long serialVersionUID = 1;
        private final AggregateFunction<Long, A, Long> inner;

        OfValues(AggregateFunction<Long, A, Long> inner) {
            this.inner = inner;
        }

        @Override
        public A createAccumulator() {
            return inner.createAccumulator();
        }

        @Override
        public A add(IN input, A kept) {
            return inner.add(value(input), kept);
        }

        @Override
        public Long getResult(A kept) {
            return inner.getResult(kept);
        }

        @Override
        public A merge(A a, A b) {
            return inner.merge(a, b);
        }
    }

    /** Fires as Flink's own trigger does, but not at the end of the file, which is not the end of the stream. */
    private static final class UntilEnd extends Trigger<Object, TimeWindow> {
        private static final long serialVersionUID = 1;
        private final EventTimeTrigger inner = EventTimeTrigger.create();

        @Override
        public TriggerResult onElement(Object element, long timeMs, TimeWindow window, TriggerContext context) throws Exception {
            return inner.onElement(element, timeMs, window, context);
        }

        @Override
        public TriggerResult onEventTime(long timeMs, TimeWindow window, TriggerContext context) {
            boolean hasEnded = context.getCurrentWatermark() == Long.MAX_VALUE;
            return hasEnded ? TriggerResult.CONTINUE : inner.onEventTime(timeMs, window, context);
        }

        @Override
        public TriggerResult onProcessingTime(long timeMs, TimeWindow window, TriggerContext context) throws Exception {
            return inner.onProcessingTime(timeMs, window, context);
        }

        @Override
        public boolean canMerge() {
            return true;
        }

        @Override
        public void onMerge(TimeWindow window, OnMergeContext context) {
            inner.onMerge(window, context);
        }

        @Override
        public void clear(TimeWindow window, TriggerContext context) throws Exception {
            inner.clear(window, context);
        }
    }

    /** Emits what a window has come to: {@code Panes::fire} of {@code src/operator/window/pane.rs}. */
    private abstract static class Fire<T> extends ProcessWindowFunction<T, Row, Object, TimeWindow> implements CheckpointedFunction {
        private static final long serialVersionUID = 1;
        private final Spec spec;
        private transient Collected collected;
        private transient Probe probe;

        Fire(Spec spec) {
            this.spec = spec;
        }

        /** What comes of the contents; null for nothing. */
        abstract Long result(Iterable<T> contents);

        @Override
        public void initializeState(FunctionInitializationContext context) throws Exception {
            collected = new Collected(spec);
            collected.initialize(context);
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            collected.snapshot();
        }

        @Override
        public void open(OpenContext context) {
            if (spec.place() == 0) {
                probe = Probe.open();
            }
        }

        @Override
        public void process(Object key, Context context, Iterable<T> contents, Collector<Row> out) {
            Long result = result(contents);
            if (result != null) {
                TimeWindow window = context.window();
                long origin = Hashing.mix(Hashing.mix(Hashing.fingerprint(key), window.getStart()), window.getEnd());
                collected.emitOf(origin, result);
            }
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

    private static final class OfOne extends Fire<Long> {
        private static final long serialVersionUID = 1;

        OfOne(Spec spec) {
            super(spec);
        }

        @Override
        Long result(Iterable<Long> contents) {
            return contents.iterator().next();
        }
    }

    /** Holistic: every payload is kept: {@code Listed}. */
    private static final class OfList extends Fire<Element> {
        private static final long serialVersionUID = 1;

        OfList(Spec spec) {
            super(spec);
        }

        @Override
        Long result(Iterable<Element> contents) {
            long sum = 0;
            long length = 0;
            for (Element element : contents) {
                sum += Hashing.mix(Hashing.head(element.payload), 0);
                length++;
            }
            return length > 0 ? Hashing.mix(sum, length) : null;
        }
    }

    /** The window join: {@code Joined}. Flink's {@code CoGroupedStreams} keeps both sides in one list too. */
    private static final class OfSides extends Fire<Element> {
        private static final long serialVersionUID = 1;

        OfSides(Spec spec) {
            super(spec);
        }

        @Override
        Long result(Iterable<Element> contents) {
            List<Long> left = new ArrayList<>();
            List<Long> right = new ArrayList<>();
            for (Element element : contents) {
                (element.isLeft ? left : right).add(Hashing.row(element.value, element.payload));
            }
            long sum = 0;
            long count = 0;
            for (long one : left) {
                for (long other : right) {
                    sum += Hashing.mix(one, other);
                    count++;
                }
            }
            return count > 0 ? Hashing.mix(sum, count) : null;
        }
    }

    /** Counts what came too late for its windows. */
    private static final class Late<IN> extends ProcessFunction<IN, Row> implements CheckpointedFunction {
        private static final long serialVersionUID = 1;
        private final Spec spec;
        private transient Collected counted;

        Late(Spec spec) {
            this.spec = spec;
        }

        @Override
        public void initializeState(FunctionInitializationContext context) throws Exception {
            counted = new Collected(spec.silent());
            counted.initialize(context);
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            counted.snapshot();
        }

        @Override
        public void processElement(IN input, Context context, Collector<Row> out) {
            counted.countLate(sequence(input));
        }

        @Override
        public void close() {
            if (counted != null) {
                counted.reportLate(getRuntimeContext(), "late-windows-" + spec.place());
            }
        }
    }
}
