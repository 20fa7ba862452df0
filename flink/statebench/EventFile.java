package statebench;

import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.Path;

/**
 * Reads a file of events, which {@code src/engine/events.rs} writes and describes. Its numbers are big endian.
 *
 * <p>A record begins with a byte that tells what it is: an event, a watermark, the end of the prefill, the begin of the measured
 * part, or the end.
 */
final class EventFile implements AutoCloseable {
    static final int END = 0, EVENT = 1, WATERMARK = 2, PREFILL_ENDS = 3, MEASURING_BEGINS = 4;
    private static final int MAGIC = 0x53424556;
    private static final int VERSION = 1;

    private final FSDataInputStream in;
    private final byte[] buffer = new byte[1 << 16];
    private int next;
    private int filled;
    /** Where the buffer begins in the file. */
    private long base;
    private final boolean textKeys;
    /** A key of this file's subtask, which events that go to all subtasks are given. */
    private final Object anchor;

    /** Opens a file and goes on at a record, at the first for 0. */
    EventFile(String path, long position) throws IOException {
        Path file = new Path(path);
        in = file.getFileSystem().open(file);
        if (readInt() != MAGIC || readByte() != VERSION) {
            throw new IOException(path + ": not a file of events of this version of statebench");
        }
        textKeys = readByte() == 1;
        anchor = readKey();
        if (position > 0) {
            in.seek(position);
            base = position;
            next = filled = 0;
        }
    }

    /** Where the next record begins. */
    long position() {
        return base + next;
    }

    /** Reads what the next record is. */
    int readTag() throws IOException {
        return readByte();
    }

    /** Reads the rest of an event. */
    void readEvent(Event event) throws IOException {
        event.sequence = readLong();
        event.timeMs = readLong();
        event.watermarkMs = readLong();
        event.processingMs = readLong();
        event.value = readLong();
        event.other = readLong();
        event.stream = readByte();
        event.operation = readByte();
        if (readByte() == 1) {
            event.key = anchor;
            event.keyNumber = readLong();
        } else {
            event.key = readKey();
            event.keyNumber = Hashing.asLong(event.key);
        }
        event.payload = readBytes(readInt());
    }

    /** Reads the rest of a watermark: the watermark, then processing time. */
    long readLong() throws IOException {
        require(8);
        long value = 0;
        for (int i = 0; i < 8; i++) {
            value = value << 8 | buffer[next++] & 0xff;
        }
        return value;
    }

    private Object readKey() throws IOException {
        return textKeys ? (Object) new String(readBytes(readInt()), StandardCharsets.UTF_8) : (Object) readLong();
    }

    private int readInt() throws IOException {
        require(4);
        int value = 0;
        for (int i = 0; i < 4; i++) {
            value = value << 8 | buffer[next++] & 0xff;
        }
        return value;
    }

    private int readByte() throws IOException {
        require(1);
        return buffer[next++] & 0xff;
    }

    private byte[] readBytes(int count) throws IOException {
        byte[] bytes = new byte[count];
        int done = 0;
        while (done < count) {
            require(1);
            int part = Math.min(count - done, filled - next);
            System.arraycopy(buffer, next, bytes, done, part);
            next += part;
            done += part;
        }
        return bytes;
    }

    /** Makes sure that so many bytes are in the buffer. */
    private void require(int count) throws IOException {
        if (filled - next >= count) {
            return;
        }
        System.arraycopy(buffer, next, buffer, 0, filled - next);
        base += next;
        filled -= next;
        next = 0;
        while (filled < count) {
            int read = in.read(buffer, filled, buffer.length - filled);
            if (read < 0) {
                throw new EOFException("the file of events ends too early");
            }
            filled += read;
        }
    }

    @Override
    public void close() throws IOException {
        in.close();
    }
}
