package statebench;

import java.io.Serializable;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;

/** What the job is told of one operator, as {@code src/engine/spec.rs} writes it: its name, its settings, the TTL of its states. */
final class Spec implements Serializable {
    private static final long serialVersionUID = 1;
    private final int place;
    private final TreeMap<String, String> settings = new TreeMap<>();

    /** Of the operator at this place of a pipeline: the arguments {@code place.name=value}. */
    Spec(Map<String, String> arguments, int place) {
        this.place = place;
        String prefix = place + ".";
        arguments.forEach((name, value) -> {
            if (name.startsWith(prefix)) {
                settings.put(name.substring(prefix.length()), value);
            }
        });
    }

    /** The same for results that go nowhere. */
    Spec silent() {
        Spec silent = new Spec(new TreeMap<>(), place);
        silent.settings.put("forwards", "false");
        silent.settings.put("measured-from", text("measured-from"));
        return silent;
    }

    /** Whether there is such an operator. */
    boolean exists() {
        return settings.containsKey("operator");
    }

    int place() {
        return place;
    }

    String text(String name) {
        String value = settings.get(name);
        if (value == null) {
            throw new IllegalArgumentException("the job was not told " + place + "." + name);
        }
        return value;
    }

    long number(String name) {
        return Long.parseLong(text(name));
    }

    boolean flag(String name) {
        return Boolean.parseBoolean(text(name));
    }

    boolean hasTtl(String state) {
        return settings.containsKey("ttl." + state);
    }

    /**
     * Sets the TTL of a state, where it has one: milliseconds, update type, visibility, full snapshot, then Flink's own clean-up in the
     * background, or incremental clean-up (entries, every record) and compaction filter (entries, period); {@code name=value} with
     * commas between.
     */
    <D extends StateDescriptor<?, ?>> D withTtl(D descriptor) {
        String ttl = settings.get("ttl." + descriptor.getName());
        if (ttl == null) {
            return descriptor;
        }
        TreeMap<String, String> parts = new TreeMap<>();
        for (String part : ttl.split(",")) {
            parts.put(part.substring(0, part.indexOf('=')), part.substring(part.indexOf('=') + 1));
        }
        StateTtlConfig.Builder builder = StateTtlConfig.newBuilder(Duration.ofMillis(Long.parseLong(parts.get("time-ms"))))
                .setUpdateType(StateTtlConfig.UpdateType.valueOf(parts.get("update-type")))
                .setStateVisibility(StateTtlConfig.StateVisibility.valueOf(parts.get("visibility")));
        if (!parts.containsKey("background")) {
            builder.disableCleanupInBackground();
        }
        if (parts.containsKey("full-snapshot")) {
            builder.cleanupFullSnapshot();
        }
        if (parts.containsKey("incremental-size")) {
            builder.cleanupIncrementally(
                    Integer.parseInt(parts.get("incremental-size")), Boolean.parseBoolean(parts.get("incremental-every-record")));
        }
        if (parts.containsKey("filter-entries")) {
            long entries = Long.parseLong(parts.get("filter-entries"));
            Duration period = Duration.ofSeconds(Long.parseLong(parts.get("filter-period-s")));
            builder.cleanupInRocksdbCompactFilter(entries, period);
        }
        descriptor.enableTimeToLive(builder.build());
        return descriptor;
    }
}
