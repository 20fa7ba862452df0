package statebench;

import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;

/** Rows as joins, ranks and deduplication keep them, number and bytes: {@code src/operator/row.rs}. */
final class Rows {
    private Rows() {}

    static final TypeInformation<byte[]> PAYLOAD = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    static final TypeInformation<Tuple2<Long, byte[]>> ROW = Types.TUPLE(Types.LONG, PAYLOAD);

    /** Takes the row out of an event. */
    static Tuple2<Long, byte[]> take(Event event) {
        return Tuple2.of(event.value, event.payload);
    }

    static long hash(Tuple2<Long, byte[]> row) {
        return Hashing.row(row.f0, row.f1);
    }
}
