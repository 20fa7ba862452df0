package statebench;

/** A row on its way to another operator: what {@code Collector::forward} makes of a result in {@code src/operator/mod.rs}. A POJO of Flink. */
public final class Row {
    public long sequence;
    public long timeMs;
    public long watermarkMs;
    public long processingMs;
    public long key;
    public long value;
    public long other;
}
