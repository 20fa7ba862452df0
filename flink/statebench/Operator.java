package statebench;

import java.io.Serializable;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.streaming.api.TimerService;
import org.apache.flink.runtime.state.FunctionInitializationContext;

/** A keyed operator: the trait {@code Operator} of {@code src/operator/mod.rs}. */
abstract class Operator implements Serializable {
    private static final long serialVersionUID = 1;
    final Spec spec;

    Operator(Spec spec) {
        this.spec = spec;
    }

    /** Registers keyed states. */
    abstract void open(RuntimeContext context);

    /** Restores operator states, before {@link #open}. */
    void initialize(FunctionInitializationContext context, int subtask, int parallelism) throws Exception {}

    /** Brings operator states up to date. */
    void snapshot() throws Exception {}

    /** Whether there can be state before the first event. */
    boolean hasPrefill() {
        return true;
    }

    /** Puts into the state what a job that ran before would have left for the event's key. */
    void prefill(Event event, TimerService time, Collected ignored) throws Exception {
        process(event, time, ignored);
    }

    abstract void process(Event event, TimerService time, Collected out) throws Exception;

    /** Does what a timer of the current key is for. */
    void onTimer(Object key, long timeMs, TimerService time, Collected out) throws Exception {}

    /** The entry of a key's map that an event is about: {@code entry_of}. */
    static long entryOf(Event event, long entries) {
        return Hashing.scaled(Hashing.mix(event.value, event.sequence), entries);
    }

    /** What a map holds at an entry before the run: {@code payload_of_entry}. */
    static byte[] payloadOfEntry(byte[] payload, long entry) {
        long word = Hashing.mix(entry, Hashing.head(payload));
        byte[] changed = payload.clone();
        for (int i = 0; i < changed.length; i++) {
            if (changed[i] != 0) {
                changed[i] ^= (byte) (word >>> 8 * (i & 7));
            }
        }
        return changed;
    }
}
