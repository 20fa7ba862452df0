import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;

/**
 * Holds keyed state in objects as large as those of Flink's heap backend and updates it at random for some seconds,
 * between two calls of System.gc() that bracket the window in the collector's log.
 *
 * Arguments: keys, bytes of a value (0: a counter), seconds. Prints, each on a line with its name: operations and
 * nanoseconds of the window, bytes that an operation allocated, bytes alive behind the load.
 */
public final class Churn {
    private static final int GROUPS = 128;
    /** Boxed numbers up to 127 are shared. */
    private static final long FIRST_KEY = 1L << 20;

    /** The fields of Flink's StateMapEntry. */
    private static final class Entry {
        final Long key;
        final Object namespace;
        Object state;
        Entry next;
        int entryVersion;
        int stateVersion;
        final int hash;

        Entry(Long key, Object namespace, int hash, Object state, Entry next) {
            this.key = key;
            this.namespace = namespace;
            this.hash = hash;
            this.state = state;
            this.next = next;
        }
    }

    /** The table of a key group: it doubles when more than three quarters of it are full. */
    private static final class Table {
        Entry[] slots = new Entry[128];
        int size;

        Entry find(Long key, int hash) {
            Entry entry = slots[hash & (slots.length - 1)];
            while (entry != null && !(entry.hash == hash && entry.key.equals(key))) {
                entry = entry.next;
            }
            return entry;
        }

        void insert(Long key, Object namespace, int hash, Object state) {
            if (++size > slots.length / 4 * 3) {
                grow();
            }
            int slot = hash & (slots.length - 1);
            slots[slot] = new Entry(key, namespace, hash, state, slots[slot]);
        }

        private void grow() {
            Entry[] old = slots;
            slots = new Entry[2 * old.length];
            for (Entry entry : old) {
                while (entry != null) {
                    Entry next = entry.next;
                    int slot = entry.hash & (slots.length - 1);
                    entry.next = slots[slot];
                    slots[slot] = entry;
                    entry = next;
                }
            }
        }
    }

    private static final Object NAMESPACE = new Object();
    private static final Table[] TABLES = new Table[GROUPS];
    /** The key of the record, which a backend holds: so that its box is not optimized away. */
    private static Long currentKey;

    private static int hash(long key) {
        long mixed = key * 0x9E3779B97F4A7C15L;
        return (int) (mixed ^ (mixed >>> 32));
    }

    private static Object first(int valueBytes) {
        return valueBytes == 0 ? (Object) Long.valueOf(FIRST_KEY) : new byte[valueBytes];
    }

    private static void update(long number, int valueBytes) {
        currentKey = Long.valueOf(FIRST_KEY + number);
        int hash = hash(currentKey);
        Entry entry = TABLES[(hash >>> 16) % GROUPS].find(currentKey, hash);
        entry.state = valueBytes == 0 ? (Object) Long.valueOf((Long) entry.state + 1) : new byte[valueBytes];
    }

    private static void load(int keys, int valueBytes) {
        for (int group = 0; group < GROUPS; group++) {
            TABLES[group] = new Table();
        }
        for (int number = 0; number < keys; number++) {
            Long key = Long.valueOf(FIRST_KEY + number);
            int hash = hash(key);
            TABLES[(hash >>> 16) % GROUPS].insert(key, NAMESPACE, hash, first(valueBytes));
        }
    }

    public static void main(String[] arguments) {
        int keys = Integer.parseInt(arguments[0]);
        int valueBytes = Integer.parseInt(arguments[1]);
        long lengthNs = Long.parseLong(arguments[2]) * 1_000_000_000L;
        MemoryMXBean memory = ManagementFactory.getMemoryMXBean();
        com.sun.management.ThreadMXBean threads =
                (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        load(keys, valueBytes);
        long random = 0x853C49E6748FEA9BL;
        for (int i = 0; i < 200_000; i++) {
            random = random * 6364136223846793005L + 1442695040888963407L;
            update((random >>> 33) % keys, valueBytes);
        }
        System.gc();
        long live = memory.getHeapMemoryUsage().getUsed();
        long self = Thread.currentThread().getId();
        long allocated = threads.getThreadAllocatedBytes(self);
        long began = System.nanoTime();
        long operations = 0;
        while (System.nanoTime() - began < lengthNs) {
            for (int i = 0; i < 1_000; i++) {
                random = random * 6364136223846793005L + 1442695040888963407L;
                update((random >>> 33) % keys, valueBytes);
            }
            operations += 1_000;
        }
        long elapsed = System.nanoTime() - began;
        allocated = threads.getThreadAllocatedBytes(self) - allocated;
        System.gc();
        System.out.println("operations " + operations);
        System.out.println("nanoseconds " + elapsed);
        System.out.println("allocated " + (double) allocated / operations);
        System.out.println("live " + live);
    }
}
