package statebench;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** A row as the key of a map: {@code Row} of {@code src/operator/row.rs}. Two of the same content are equal, as arrays of Java are not. */
final class RowKey {
    final long value;
    final byte[] payload;

    RowKey(long value, byte[] payload) {
        this.value = value;
        this.payload = payload;
    }

    long hash() {
        return Hashing.row(value, payload);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof RowKey && ((RowKey) other).value == value && Arrays.equals(((RowKey) other).payload, payload);
    }

    @Override
    public int hashCode() {
        return 31 * Long.hashCode(value) + Arrays.hashCode(payload);
    }

    /** Writes the same bytes as Flink's serializer of a tuple of a long and bytes. */
    static final class Serializer extends TypeSerializerSingleton<RowKey> {
        private static final long serialVersionUID = 1;

        @Override
        public boolean isImmutableType() {
            return true;
        }

        @Override
        public RowKey createInstance() {
            return new RowKey(0, new byte[0]);
        }

        @Override
        public RowKey copy(RowKey from) {
            return from;
        }

        @Override
        public RowKey copy(RowKey from, RowKey reuse) {
            return from;
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public void serialize(RowKey row, DataOutputView target) throws IOException {
            target.writeLong(row.value);
            target.writeInt(row.payload.length);
            target.write(row.payload);
        }

        @Override
        public RowKey deserialize(DataInputView source) throws IOException {
            long value = source.readLong();
            byte[] payload = new byte[source.readInt()];
            source.readFully(payload);
            return new RowKey(value, payload);
        }

        @Override
        public RowKey deserialize(RowKey reuse, DataInputView source) throws IOException {
            return deserialize(source);
        }

        @Override
        public void copy(DataInputView source, DataOutputView target) throws IOException {
            serialize(deserialize(source), target);
        }

        @Override
        public TypeSerializerSnapshot<RowKey> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    /** What a checkpoint keeps of the serializer. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<RowKey> {
        public Snapshot() {
            super(Serializer::new);
        }
    }
}
