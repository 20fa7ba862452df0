package statebench;

/** One event: {@code src/source/event.rs}. Its object is used again for another event; key and payload are its own. */
public final class Event {
    /** What operations are called in the file, by their number: {@code MixOperation}. */
    static final int READ = 0, UPDATE = 1, READ_MODIFY_WRITE = 2, INSERT = 3, APPEND = 4, DELETE = 5, SCAN = 6;

    long sequence;
    long timeMs;
    long watermarkMs;
    long processingMs;
    Object key;
    /** The key as a number: of an event that goes to all subtasks the only trace of its own key. */
    long keyNumber;
    long value;
    long other;
    int stream;
    int operation;
    byte[] payload;
    /** Whether it fills the state before the run. */
    boolean isPrefill;

    /** The key, for Flink to partition by. */
    public Object key() {
        return key;
    }
}
