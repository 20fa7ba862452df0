package statebench;

import java.util.TreeMap;
import org.apache.flink.api.common.accumulators.ListAccumulator;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.util.Collector;

/**
 * Takes the results of an operator: folds them into a digest, and hands them on as rows where another operator follows: {@code
 * Collector} of {@code src/operator/mod.rs}. What it holds is operator state, so that it is neither lost nor counted twice when
 * the job goes on from a checkpoint.
 */
final class Collected {
    /** Keys of which the latest results are kept: {@code MOST_LATEST}. */
    private static final int MOST_LATEST = 64;
    /** The kinds of a row's change, by their number: {@code RowKind}. */
    static final int INSERT = 0, UPDATE_BEFORE = 1, UPDATE_AFTER = 2, DELETE = 3;

    private final int place;
    private final boolean forwards;
    private final long measuredFrom;
    private long sum;
    private long count;
    private long late;
    private final TreeMap<Long, Long> latest = new TreeMap<>();
    private transient ListState<Long> stored;
    private transient Collector<Row> out;
    private final Row row = new Row();

    Collected(Spec spec) {
        place = spec.place();
        forwards = spec.flag("forwards");
        measuredFrom = spec.number("measured-from");
    }

    /** Restores what a checkpoint holds. */
    void initialize(FunctionInitializationContext context) throws Exception {
        stored = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("statebench-collected", Types.LONG));
        java.util.ArrayList<Long> words = new java.util.ArrayList<>();
        stored.get().forEach(words::add);
        for (int i = 0; i + 1 < words.size(); i += 2) {
            switch (i) {
                case 0:
                    sum = words.get(0);
                    count = words.get(1);
                    break;
                case 2:
                    late = words.get(2);
                    break;
                default:
                    latest.put(words.get(i), words.get(i + 1));
            }
        }
    }

    void snapshot() throws Exception {
        java.util.ArrayList<Long> words = new java.util.ArrayList<>(java.util.Arrays.asList(sum, count, late, 0L));
        latest.forEach((key, value) -> {
            words.add(key);
            words.add(value);
        });
        stored.update(words);
    }

    /** Where rows for the next operator go. */
    void to(Collector<Row> out) {
        this.out = out;
    }

    private void add(long hash) {
        sum += hash;
        count++;
    }

    /** One result of an event. */
    void emit(Event event, long result) {
        add(Hashing.mix(event.sequence, result));
        if (forwards) {
            forward(event, Hashing.asLong(event.key), result, event.value);
        }
    }

    /** One row of an event. */
    void emitRow(Event event, long key, long value, long other) {
        add(Hashing.mix(event.sequence, Hashing.mix(Hashing.mix(key, value), other)));
        if (forwards) {
            forward(event, key, value, other);
        }
    }

    /** One result of a timer: {@code origin} tells it from every other one. */
    void emitOf(long origin, long result) {
        add(Hashing.mix(origin, result));
    }

    /** A change of the result that an event brings about. */
    void emitChange(Event event, int kind, long rowHash) {
        emit(event, Hashing.mix(kind, rowHash));
    }

    /** A pair of rows that appears or disappears with an event. */
    void emitPair(Event event, int kind, long leftValue, long leftHash, long rightValue, long rightHash) {
        add(Hashing.mix(event.sequence, Hashing.mix(kind, Hashing.mix(leftHash, rightHash))));
        if (forwards) {
            forward(event, Hashing.asLong(event.key), leftValue, rightValue);
        }
    }

    private void forward(Event event, long key, long value, long other) {
        row.sequence = event.sequence;
        row.timeMs = event.timeMs;
        row.watermarkMs = event.watermarkMs;
        row.processingMs = event.processingMs;
        row.key = key;
        row.value = value;
        row.other = other;
        out.collect(row);
    }

    /** An event that came too late; of those before the measured part none is counted. */
    void countLate(long sequence) {
        if (sequence >= measuredFrom) {
            late++;
        }
    }

    void keepLatest(long key, long value) {
        if (latest.size() <= MOST_LATEST) {
            latest.put(key, value);
        }
    }

    /** Reports what there is in the accumulators of the job. */
    void report(RuntimeContext context) {
        add(context, "digest-sum-" + place, sum);
        add(context, "digest-count-" + place, count);
        reportLate(context, "late-" + place);
        ListAccumulator<String> kept = new ListAccumulator<>();
        latest.forEach((key, value) -> kept.add("[" + key + "," + value + "]"));
        context.addAccumulator("latest-" + place, kept);
    }

    /** Reports the late events alone. */
    void reportLate(RuntimeContext context, String name) {
        add(context, name, late);
    }

    private static void add(RuntimeContext context, String name, long value) {
        LongCounter counter = new LongCounter();
        counter.add(value);
        context.addAccumulator(name, counter);
    }
}
