package statebench;

import java.nio.charset.StandardCharsets;

/** Hashes that digests are made of, bit for bit those of {@code src/state/digest.rs} and {@code src/state/codec.rs}. */
final class Hashing {
    private Hashing() {}

    /** Mixes two words into one by a folded 128-bit multiplication: {@code mix} of {@code src/state/digest.rs}. */
    static long mix(long a, long b) {
        return foldedProduct(a ^ 0x243f_6a88_85a3_08d3L, b ^ 0x1319_8a2e_0370_7344L);
    }

    private static long foldedProduct(long x, long y) {
        long high = Math.multiplyHigh(x, y) + ((x >> 63) & y) + ((y >> 63) & x);
        return (x * y) ^ high;
    }

    /** The draw scaled to 0 … bound − 1: the upper word of a 128-bit product. */
    static long scaled(long draw, long bound) {
        return Math.multiplyHigh(draw, bound) + ((draw >> 63) & bound);
    }

    /** A hash of length and first 8 bytes: {@code Payload::head}. */
    static long head(byte[] payload) {
        long head = payload.length < 8 ? 0 : word(payload, 0);
        return head ^ Long.rotateLeft(payload.length, 48);
    }

    /** What stands for a row in a result: {@code row_hash}. */
    static long row(long value, byte[] payload) {
        return mix(value, head(payload));
    }

    /** The fingerprint of a key: XXH3 over the bytes that Flink's serializer writes. */
    static long fingerprint(Object key) {
        return xxh3(key instanceof Long ? longBytes((Long) key) : stringBytes((String) key));
    }

    /** A key as a number in a row: {@code Key::as_long}. */
    static long asLong(Object key) {
        return key instanceof Long ? (Long) key : key.hashCode();
    }

    private static byte[] longBytes(long key) {
        byte[] bytes = new byte[8];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (byte) (key >> (56 - 8 * i));
        }
        return bytes;
    }

    /** As Flink's {@code StringSerializer}: number of characters plus one, then every character, as var-ints. */
    private static byte[] stringBytes(String text) {
        byte[] bytes = new byte[5 + 3 * text.length()];
        int end = varInt(text.length() + 1, bytes, 0);
        for (int i = 0; i < text.length(); i++) {
            end = varInt(text.charAt(i), bytes, end);
        }
        return java.util.Arrays.copyOf(bytes, end);
    }

    private static int varInt(int value, byte[] bytes, int at) {
        while (value >= 0x80) {
            bytes[at++] = (byte) (value | 0x80);
            value >>>= 7;
        }
        bytes[at++] = (byte) value;
        return at;
    }

    /** Bytes of XXH3's default secret; constants of the algorithm. */
    private static final byte[] SECRET = secret();

    private static byte[] secret() {
        String hex = "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
                + "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
                + "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
                + "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
                + "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
                + "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e";
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }

    private static final long PRIME_1 = 0x9E3779B185EBCA87L;
    private static final long PRIME_2 = 0xC2B2AE3D27D4EB4FL;
    private static final long PRIME_3 = 0x165667B19E3779F9L;

    /** Longest input that {@link #xxh3} takes, bytes: keys are shorter. */
    static final int XXH3_LIMIT = 240;

    /** XXH3 with 64 bits and seed 0, of up to {@link #XXH3_LIMIT} bytes. */
    static long xxh3(byte[] in) {
        int length = in.length;
        if (length > XXH3_LIMIT) {
            throw new IllegalArgumentException("a key of " + length + " bytes; at most " + XXH3_LIMIT + " are hashed");
        }
        if (length > 16) {
            return length > 128 ? xxh3Middle(in) : xxh3Short(in);
        }
        if (length > 8) {
            long low = word(in, 0) ^ word(SECRET, 24) ^ word(SECRET, 32);
            long high = word(in, length - 8) ^ word(SECRET, 40) ^ word(SECRET, 48);
            return avalanche(length + Long.reverseBytes(low) + high + foldedProduct(low, high));
        }
        if (length >= 4) {
            long input = (half(in, length - 4) & 0xffff_ffffL) + ((long) half(in, 0) << 32);
            long keyed = input ^ word(SECRET, 8) ^ word(SECRET, 16);
            keyed ^= Long.rotateLeft(keyed, 49) ^ Long.rotateLeft(keyed, 24);
            keyed *= 0x9FB21C651E98DF25L;
            keyed ^= (keyed >>> 35) + length;
            keyed *= 0x9FB21C651E98DF25L;
            return keyed ^ (keyed >>> 28);
        }
        if (length == 0) {
            return avalanche64(word(SECRET, 56) ^ word(SECRET, 64));
        }
        int combined = (in[0] & 0xff) << 16 | (in[length >> 1] & 0xff) << 24 | in[length - 1] & 0xff | length << 8;
        return avalanche64((combined & 0xffff_ffffL) ^ ((half(SECRET, 0) ^ half(SECRET, 4)) & 0xffff_ffffL));
    }

    private static long xxh3Short(byte[] in) {
        int length = in.length;
        long sum = length * PRIME_1;
        for (int i = (length - 1) / 32; i >= 0; i--) {
            sum += mix16(in, 16 * i, 32 * i) + mix16(in, length - 16 * (i + 1), 32 * i + 16);
        }
        return avalanche(sum);
    }

    private static long xxh3Middle(byte[] in) {
        int length = in.length;
        long sum = length * PRIME_1;
        for (int i = 0; i < 8; i++) {
            sum += mix16(in, 16 * i, 16 * i);
        }
        sum = avalanche(sum);
        for (int i = 8; i < length / 16; i++) {
            sum += mix16(in, 16 * i, 16 * (i - 8) + 3);
        }
        return avalanche(sum + mix16(in, length - 16, 136 - 17));
    }

    private static long mix16(byte[] in, int at, int secret) {
        return foldedProduct(word(in, at) ^ word(SECRET, secret), word(in, at + 8) ^ word(SECRET, secret + 8));
    }

    private static long avalanche(long value) {
        value = (value ^ (value >>> 37)) * 0x165667919E3779F9L;
        return value ^ (value >>> 32);
    }

    private static long avalanche64(long value) {
        value = (value ^ (value >>> 33)) * PRIME_2;
        value = (value ^ (value >>> 29)) * PRIME_3;
        return value ^ (value >>> 32);
    }

    /** 8 bytes, little endian. */
    static long word(byte[] bytes, int at) {
        return half(bytes, at) & 0xffff_ffffL | (long) half(bytes, at + 4) << 32;
    }

    private static int half(byte[] bytes, int at) {
        return bytes[at] & 0xff | (bytes[at + 1] & 0xff) << 8 | (bytes[at + 2] & 0xff) << 16 | bytes[at + 3] << 24;
    }

    /** Prints the hashes of its arguments, for the test that compares them with those of the Rust side. */
    public static void main(String[] texts) {
        for (String text : texts) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            System.out.printf("%016x %016x %016x %016x%n", xxh3(bytes), fingerprint(text), head(bytes), mix(head(bytes), bytes.length));
        }
    }
}
