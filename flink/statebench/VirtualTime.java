package statebench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.OperatorStateBackend;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.StateBackendFactory;
import org.apache.flink.runtime.state.StateBackendLoader;
import org.apache.flink.runtime.state.ttl.TtlTimeProvider;
import org.slf4j.LoggerFactory;

/**
 * The virtual clock by which state expires, so that what expires does not depend on how fast the job runs: {@code
 * set_current_time} of {@code src/state/mod.rs}. Flink asks a {@link TtlTimeProvider} for the time; here it is that of the event.
 */
public final class VirtualTime {
    private VirtualTime() {}

    /** The option by which the backend is named that state really goes to. */
    static final String INNER_BACKEND = "statebench.state-backend";

    private static final ThreadLocal<Clock> CREATED_LAST = new ThreadLocal<>();

    /** The clock of the backend that was made last in this thread, which is that of the operator that is being opened. */
    static Clock ofThisOperator() {
        Clock clock = CREATED_LAST.get();
        CREATED_LAST.remove();
        return clock == null ? new Clock() : clock;
    }

    /** The time of the last event. RocksDB's compactions read it in threads of their own. */
    static final class Clock implements TtlTimeProvider {
        private volatile long nowMs = Long.MIN_VALUE;

        void set(long nowMs) {
            this.nowMs = nowMs;
        }

        @Override
        public long currentTimestamp() {
            return nowMs;
        }
    }

    /** Makes the backend. Its class name is an option of the job where states expire. */
    public static final class Factory implements StateBackendFactory<StateBackend> {
        @Override
        public StateBackend createFromConfig(ReadableConfig config, ClassLoader loader) throws java.io.IOException {
            Configuration inner = new Configuration();
            if (config instanceof Configuration) {
                inner.addAll((Configuration) config);
            }
            Map<String, String> options = inner.toMap();
            inner.setString("state.backend.type", options.getOrDefault(INNER_BACKEND, "hashmap"));
            try {
                return new Backend(StateBackendLoader.loadStateBackendFromConfig(inner, loader, LoggerFactory.getLogger(VirtualTime.class)));
            } catch (org.apache.flink.util.DynamicCodeLoadingException error) {
                throw new java.io.IOException(error);
            }
        }
    }

    /** A state backend of Flink with another clock. */
    private static final class Backend implements StateBackend {
        private static final long serialVersionUID = 1;
        private final StateBackend inner;

        Backend(StateBackend inner) {
            this.inner = inner;
        }

        @Override
        @SuppressWarnings("unchecked")
        public <K> CheckpointableKeyedStateBackend<K> createKeyedStateBackend(KeyedStateBackendParameters<K> parameters)
                throws Exception {
            Clock clock = new Clock();
            CREATED_LAST.set(clock);
            Object withClock = Proxy.newProxyInstance(
                    VirtualTime.class.getClassLoader(),
                    new Class<?>[] {KeyedStateBackendParameters.class},
                    (proxy, method, arguments) -> {
                        if (method.getName().equals("getTtlTimeProvider")) {
                            return clock;
                        }
                        try {
                            return method.invoke(parameters, arguments);
                        } catch (InvocationTargetException error) {
                            throw error.getCause();
                        }
                    });
            return inner.createKeyedStateBackend((KeyedStateBackendParameters<K>) withClock);
        }

        @Override
        public OperatorStateBackend createOperatorStateBackend(OperatorStateBackendParameters parameters) throws Exception {
            return inner.createOperatorStateBackend(parameters);
        }

        @Override
        public boolean useManagedMemory() {
            return inner.useManagedMemory();
        }

        @Override
        public boolean supportsNoClaimRestoreMode() {
            return inner.supportsNoClaimRestoreMode();
        }

        @Override
        public boolean supportsSavepointFormat(SavepointFormatType format) {
            return inner.supportsSavepointFormat(format);
        }
    }
}
