package statebench;

import java.lang.management.CompilationMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.apache.flink.api.common.functions.RuntimeContext;

/**
 * What one subtask measures, from its source: how long the operators behind it take for an event. Source and operators are chained,
 * so that handing an event on returns when it has been processed: {@code src/measure/probe.rs}.
 */
final class Probe {
    /** The probe of the subtask whose task this thread runs: made by the first operator, used by the source in front of it. */
    private static final ThreadLocal<Probe> OF_THIS_TASK = new ThreadLocal<>();

    final Histogram events = new Histogram();
    final Histogram blocks = new Histogram();
    long measuredEvents;
    long busyNs;
    private long beganNs;
    private long endedNs;
    private long openedNs = System.nanoTime();
    private long prefillNs;
    private long gcCount;
    private long gcMs;
    private long jitMs;
    private long heapUsedBytes;

    /** Begins with a new one in this thread. */
    static Probe open() {
        Probe probe = new Probe();
        OF_THIS_TASK.set(probe);
        return probe;
    }

    static Probe ofThisTask() {
        return OF_THIS_TASK.get();
    }

    void endPrefill() {
        prefillNs = System.nanoTime() - openedNs;
    }

    void beginMeasuring() {
        events.clear();
        blocks.clear();
        measuredEvents = 0;
        busyNs = 0;
        long[] gc = collections();
        gcCount = gc[0];
        gcMs = gc[1];
        jitMs = compilation();
        beganNs = System.nanoTime();
    }

    void endMeasuring() {
        endedNs = System.nanoTime();
        long[] gc = collections();
        gcCount = gc[0] - gcCount;
        gcMs = gc[1] - gcMs;
        jitMs = compilation() - jitMs;
        Runtime jvm = Runtime.getRuntime();
        heapUsedBytes = jvm.totalMemory() - jvm.freeMemory();
    }

    /** Time that this JVM has spent compiling so far, in threads of its own, ms. */
    private static long compilation() {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        return compiler != null && compiler.isCompilationTimeMonitoringSupported() ? compiler.getTotalCompilationTime() : 0;
    }

    /** Collections of this JVM so far, and the time that they took, ms. */
    private static long[] collections() {
        long[] sums = new long[2];
        for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans()) {
            sums[0] += Math.max(0, collector.getCollectionCount());
            sums[1] += Math.max(0, collector.getCollectionTime());
        }
        return sums;
    }

    /** Reports what a subtask has measured in the accumulators of the job. */
    static void report(Probe probe, RuntimeContext context) {
        ListAccumulator<String> measured = new ListAccumulator<>();
        TaskInfo task = context.getTaskInfo();
        measured.add(probe.json(task.getIndexOfThisSubtask(), task.getAttemptNumber()));
        context.addAccumulator("measured", measured);
    }

    /** What {@code src/engine/outcome.rs} reads. */
    private String json(int subtask, int attempt) {
        return "{\"subtask\":" + subtask
                + ",\"attempt\":" + attempt
                + ",\"jvm\":\"" + ManagementFactory.getRuntimeMXBean().getName().hashCode() + "\""
                + ",\"prefill_ns\":" + prefillNs
                + ",\"events\":" + measuredEvents
                + ",\"busy_ns\":" + busyNs
                + ",\"wall_ns\":" + (endedNs - beganNs)
                + ",\"gc_count\":" + gcCount
                + ",\"gc_ms\":" + gcMs
                + ",\"jit_ms\":" + jitMs
                + ",\"heap_used_bytes\":" + heapUsedBytes
                + ",\"heap_max_bytes\":" + Runtime.getRuntime().maxMemory()
                + ",\"event_latency\":" + events.json()
                + ",\"block_duration\":" + blocks.json() + "}";
    }

    /** A histogram with the buckets of an HdrHistogram of two significant digits. */
    static final class Histogram {
        private static final int SUB_BITS = 8;
        private final long[] counts = new long[(64 - SUB_BITS) * (1 << (SUB_BITS - 1)) + (1 << SUB_BITS)];

        void record(long ns) {
            counts[index(Math.max(0, ns))]++;
        }

        void clear() {
            java.util.Arrays.fill(counts, 0);
        }

        private static int index(long value) {
            int shift = Math.max(0, 64 - SUB_BITS - Long.numberOfLeadingZeros(value));
            return (shift << (SUB_BITS - 1)) + (int) (value >>> shift);
        }

        /** The smallest value of a bucket. */
        private static long value(int index) {
            int half = 1 << (SUB_BITS - 1);
            int shift = Math.max(0, index / half - 1);
            return (long) (index - shift * half) << shift;
        }

        /** Pairs of a value and how often it came. */
        String json() {
            StringBuilder text = new StringBuilder("[");
            for (int i = 0; i < counts.length; i++) {
                if (counts[i] > 0) {
                    text.append(text.length() > 1 ? "," : "").append('[').append(value(i)).append(',').append(counts[i]).append(']');
                }
            }
            return text.append(']').toString();
        }
    }
}
