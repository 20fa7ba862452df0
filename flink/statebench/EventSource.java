package statebench;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Reads events that statebench has written, one file a subtask: {@code src/source/mod.rs}. A file has the events of the key groups of
 * its subtask, so the keyed operator behind it needs no exchange, and meets events and watermarks in the order of the stream.
 */
final class EventSource implements Source<Event, EventSource.Split, Map<Integer, EventSource.Split>> {
    private static final long serialVersionUID = 1;
    /** Events that are handed on in one go, as many as statebench makes a block of. */
    private static final int BLOCK_EVENTS = 256;

    private final String folder;
    private final int parallelism;
    private final int sampleEvery;

    EventSource(String folder, int parallelism, int sampleEvery) {
        this.folder = folder;
        this.parallelism = parallelism;
        this.sampleEvery = sampleEvery;
    }

    /** Where a subtask is in its file. */
    static final class Split implements SourceSplit {
        final int subtask;
        final String path;
        long position;
        int section;
        long watermarkMs = Long.MIN_VALUE;

        Split(int subtask, String path) {
            this.subtask = subtask;
            this.path = path;
        }

        @Override
        public String splitId() {
            return Integer.toString(subtask);
        }
    }

    /** The parts of a file. */
    private static final int PREFILL = 0, WARM_UP = 1, MEASURED = 2, ENDED = 3;

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.BOUNDED;
    }

    @Override
    public SourceReader<Event, Split> createReader(SourceReaderContext context) {
        return new Reader(sampleEvery);
    }

    @Override
    public SplitEnumerator<Split, Map<Integer, Split>> createEnumerator(SplitEnumeratorContext<Split> context) {
        Map<Integer, Split> splits = new TreeMap<>();
        for (int subtask = 0; subtask < parallelism; subtask++) {
            splits.put(subtask, new Split(subtask, folder + "/events-" + subtask + ".bin"));
        }
        return new Enumerator(context, splits);
    }

    @Override
    public SplitEnumerator<Split, Map<Integer, Split>> restoreEnumerator(
            SplitEnumeratorContext<Split> context, Map<Integer, Split> splits) {
        return new Enumerator(context, splits);
    }

    /** Gives each subtask the file of its own. */
    private static final class Enumerator implements SplitEnumerator<Split, Map<Integer, Split>> {
        private final SplitEnumeratorContext<Split> context;
        private final Map<Integer, Split> waiting;

        Enumerator(SplitEnumeratorContext<Split> context, Map<Integer, Split> waiting) {
            this.context = context;
            this.waiting = waiting;
        }

        @Override
        public void start() {}

        @Override
        public void addReader(int subtask) {
            Split split = waiting.remove(subtask);
            if (split != null) {
                context.assignSplit(split, subtask);
            }
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public void addSplitsBack(List<Split> splits, int subtask) {
            splits.forEach(split -> waiting.put(split.subtask, split));
        }

        @Override
        public void handleSplitRequest(int subtask, String host) {}

        @Override
        public Map<Integer, Split> snapshotState(long checkpoint) {
            return new TreeMap<>(waiting);
        }

        @Override
        public void close() {}
    }

    private static final class Reader implements SourceReader<Event, Split> {
        private final int sampleEvery;
        private final Event[] block = new Event[BLOCK_EVENTS];
        private final CompletableFuture<Void> assigned = new CompletableFuture<>();
        private Probe probe;
        private Split split;
        private EventFile file;
        private int untilTimed;

        Reader(int sampleEvery) {
            this.sampleEvery = sampleEvery;
            for (int i = 0; i < block.length; i++) {
                block[i] = new Event();
            }
        }

        @Override
        public void start() {
            probe = Probe.ofThisTask();
        }

        @Override
        public void addSplits(List<Split> splits) {
            split = splits.get(0);
            assigned.complete(null);
        }

        @Override
        public void notifyNoMoreSplits() {
            assigned.complete(null);
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return assigned;
        }

        /** Hands on the events of one block, or of what is left before the file says something else. */
        @Override
        public InputStatus pollNext(ReaderOutput<Event> output) throws Exception {
            if (split == null) {
                return assigned.isDone() ? InputStatus.END_OF_INPUT : InputStatus.NOTHING_AVAILABLE;
            }
            if (split.section == ENDED) {
                return InputStatus.END_OF_INPUT;
            }
            if (file == null) {
                file = new EventFile(split.path, split.position);
                // Where it goes on from a checkpoint, the operators behind it have no watermark yet.
                split.watermarkMs = Long.MIN_VALUE;
                if (split.section == MEASURED) {
                    probe.beginMeasuring();
                }
            }
            int events = 0;
            int tag = file.readTag();
            while (tag == EventFile.EVENT) {
                Event event = block[events++];
                file.readEvent(event);
                event.isPrefill = split.section == PREFILL;
                if (events == BLOCK_EVENTS) {
                    break;
                }
                tag = file.readTag();
            }
            hand(output, events);
            if (tag != EventFile.EVENT) {
                handle(tag, output);
            }
            split.position = file.position();
            return split.section == ENDED ? InputStatus.END_OF_INPUT : InputStatus.MORE_AVAILABLE;
        }

        private void handle(int tag, ReaderOutput<Event> output) throws IOException {
            switch (tag) {
                case EventFile.WATERMARK:
                    long watermarkMs = file.readLong();
                    long start = System.nanoTime();
                    emitWatermark(output, watermarkMs);
                    probe.busyNs += System.nanoTime() - start;
                    break;
                case EventFile.PREFILL_ENDS:
                    split.section = WARM_UP;
                    probe.endPrefill();
                    break;
                case EventFile.MEASURING_BEGINS:
                    split.section = MEASURED;
                    probe.beginMeasuring();
                    break;
                case EventFile.END:
                    split.section = ENDED;
                    probe.endMeasuring();
                    break;
                default:
                    throw new IOException(split.path + ": a record of kind " + tag);
            }
        }

        private void hand(ReaderOutput<Event> output, int events) {
            if (events == 0) {
                return;
            }
            boolean isMeasured = split.section == MEASURED;
            long start = System.nanoTime();
            for (int i = 0; i < events; i++) {
                Event event = block[i];
                if (!event.isPrefill) {
                    emitWatermark(output, event.watermarkMs);
                }
                if (isMeasured && --untilTimed < 0) {
                    untilTimed = sampleEvery - 1;
                    long began = System.nanoTime();
                    output.collect(event, event.timeMs);
                    probe.events.record(System.nanoTime() - began);
                } else {
                    output.collect(event, event.timeMs);
                }
            }
            long took = System.nanoTime() - start;
            if (isMeasured) {
                probe.busyNs += took;
                probe.measuredEvents += events;
                if (events == BLOCK_EVENTS) {
                    probe.blocks.record(took);
                }
            }
        }

        private void emitWatermark(ReaderOutput<Event> output, long watermarkMs) {
            if (watermarkMs > split.watermarkMs) {
                split.watermarkMs = watermarkMs;
                output.emitWatermark(new Watermark(watermarkMs));
            }
        }

        @Override
        public List<Split> snapshotState(long checkpoint) {
            if (split == null) {
                return Collections.emptyList();
            }
            Split copy = new Split(split.subtask, split.path);
            copy.position = split.position;
            copy.section = split.section;
            copy.watermarkMs = split.watermarkMs;
            return Collections.singletonList(copy);
        }

        @Override
        public void close() throws Exception {
            if (file != null) {
                file.close();
            }
        }
    }

    @Override
    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new SplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<Map<Integer, Split>> getEnumeratorCheckpointSerializer() {
        return new WaitingSerializer();
    }

    private static void write(DataOutputStream out, Split split) throws IOException {
        out.writeInt(split.subtask);
        out.writeUTF(split.path);
        out.writeLong(split.position);
        out.writeInt(split.section);
        out.writeLong(split.watermarkMs);
    }

    private static Split read(DataInputStream in) throws IOException {
        Split split = new Split(in.readInt(), in.readUTF());
        split.position = in.readLong();
        split.section = in.readInt();
        split.watermarkMs = in.readLong();
        return split;
    }

    private static final class SplitSerializer implements SimpleVersionedSerializer<Split> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Split split) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            write(new DataOutputStream(bytes), split);
            return bytes.toByteArray();
        }

        @Override
        public Split deserialize(int version, byte[] bytes) throws IOException {
            return read(new DataInputStream(new ByteArrayInputStream(bytes)));
        }
    }

    private static final class WaitingSerializer implements SimpleVersionedSerializer<Map<Integer, Split>> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Map<Integer, Split> waiting) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            DataOutputStream out = new DataOutputStream(bytes);
            out.writeInt(waiting.size());
            for (Split split : waiting.values()) {
                write(out, split);
            }
            return bytes.toByteArray();
        }

        @Override
        public Map<Integer, Split> deserialize(int version, byte[] bytes) throws IOException {
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
            Map<Integer, Split> waiting = new TreeMap<>();
            for (int left = in.readInt(); left > 0; left--) {
                Split split = read(in);
                waiting.put(split.subtask, split);
            }
            return waiting;
        }
    }
}
