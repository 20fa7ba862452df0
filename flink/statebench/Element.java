package statebench;

import java.io.IOException;
import java.util.Objects;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSchemaCompatibility;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * What a window keeps of an event whose bytes it keeps: {@code Contents::Element} of {@code src/operator/window/contents.rs}. Only
 * that is stored: the payload, or of a join the side and the row. The key is known where a window fires.
 */
final class Element {
    final Object key;
    final long sequence;
    final boolean isLeft;
    final long value;
    final byte[] payload;

    private Element(Object key, long sequence, boolean isLeft, long value, byte[] payload) {
        this.key = key;
        this.sequence = sequence;
        this.isLeft = isLeft;
        this.value = value;
        this.payload = payload;
    }

    static Element of(Event event) {
        return new Element(event.key, event.sequence, event.stream == 0, event.value, event.payload);
    }

    Object key() {
        return key;
    }

    /** The type of elements of a window, or of a window join. */
    static final class Type extends TypeInformation<Element> {
        private static final long serialVersionUID = 1;
        private final boolean isJoin;

        Type(boolean isJoin) {
            this.isJoin = isJoin;
        }

        @Override
        public boolean isBasicType() {
            return false;
        }

        @Override
        public boolean isTupleType() {
            return false;
        }

        @Override
        public int getArity() {
            return 1;
        }

        @Override
        public int getTotalFields() {
            return 1;
        }

        @Override
        public Class<Element> getTypeClass() {
            return Element.class;
        }

        @Override
        public boolean isKeyType() {
            return false;
        }

        /** As Flink 2 asks for it. */
        public TypeSerializer<Element> createSerializer(SerializerConfig config) {
            return new Serializer(isJoin);
        }

        /** As Flink 1.20 asks for it. */
        public TypeSerializer<Element> createSerializer(ExecutionConfig config) {
            return new Serializer(isJoin);
        }

        @Override
        public String toString() {
            return isJoin ? "row of a side" : "payload";
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Type && ((Type) other).isJoin == isJoin;
        }

        @Override
        public int hashCode() {
            return Boolean.hashCode(isJoin);
        }

        @Override
        public boolean canEqual(Object other) {
            return other instanceof Type;
        }
    }

    /** Writes the bytes of {@code byte[]}, or of {@code Tuple2<Boolean, Tuple2<Long, byte[]>>}. */
    static final class Serializer extends TypeSerializer<Element> {
        private static final long serialVersionUID = 1;
        private final boolean isJoin;

        Serializer(boolean isJoin) {
            this.isJoin = isJoin;
        }

        @Override
        public boolean isImmutableType() {
            return true;
        }

        @Override
        public TypeSerializer<Element> duplicate() {
            return this;
        }

        @Override
        public Element createInstance() {
            return new Element(null, 0, false, 0, new byte[0]);
        }

        @Override
        public Element copy(Element from) {
            return from;
        }

        @Override
        public Element copy(Element from, Element reuse) {
            return from;
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public void serialize(Element element, DataOutputView target) throws IOException {
            if (isJoin) {
                target.writeBoolean(element.isLeft);
                target.writeLong(element.value);
            }
            target.writeInt(element.payload.length);
            target.write(element.payload);
        }

        @Override
        public Element deserialize(DataInputView source) throws IOException {
            boolean isLeft = isJoin && source.readBoolean();
            long value = isJoin ? source.readLong() : 0;
            byte[] payload = new byte[source.readInt()];
            source.readFully(payload);
            return new Element(null, 0, isLeft, value, payload);
        }

        @Override
        public Element deserialize(Element reuse, DataInputView source) throws IOException {
            return deserialize(source);
        }

        @Override
        public void copy(DataInputView source, DataOutputView target) throws IOException {
            serialize(deserialize(source), target);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Serializer && ((Serializer) other).isJoin == isJoin;
        }

        @Override
        public int hashCode() {
            return Boolean.hashCode(isJoin);
        }

        @Override
        public TypeSerializerSnapshot<Element> snapshotConfiguration() {
            return new Snapshot(isJoin);
        }
    }

    /** What a checkpoint keeps of the serializer. */
    public static final class Snapshot implements TypeSerializerSnapshot<Element> {
        private boolean isJoin;

        /** For Flink, which reads the rest. */
        public Snapshot() {}

        Snapshot(boolean isJoin) {
            this.isJoin = isJoin;
        }

        @Override
        public int getCurrentVersion() {
            return 1;
        }

        @Override
        public void writeSnapshot(DataOutputView out) throws IOException {
            out.writeBoolean(isJoin);
        }

        @Override
        public void readSnapshot(int version, DataInputView in, ClassLoader loader) throws IOException {
            isJoin = in.readBoolean();
        }

        @Override
        public TypeSerializer<Element> restoreSerializer() {
            return new Serializer(isJoin);
        }

        /** As Flink 2 asks for it. */
        public TypeSerializerSchemaCompatibility<Element> resolveSchemaCompatibility(TypeSerializerSnapshot<Element> old) {
            boolean isSame = old instanceof Snapshot && Objects.equals(((Snapshot) old).isJoin, isJoin);
            return isSame ? TypeSerializerSchemaCompatibility.compatibleAsIs() : TypeSerializerSchemaCompatibility.incompatible();
        }

        /** As Flink 1.20 asks for it. */
        public TypeSerializerSchemaCompatibility<Element> resolveSchemaCompatibility(TypeSerializer<Element> now) {
            boolean isSame = now instanceof Serializer && ((Serializer) now).isJoin == isJoin;
            return isSame ? TypeSerializerSchemaCompatibility.compatibleAsIs() : TypeSerializerSchemaCompatibility.incompatible();
        }
    }
}
