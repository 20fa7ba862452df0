package statebench;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.GenericTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * The job of a workload: its operators over the events that statebench has written. It is told what to do by arguments {@code
 * name=value}, of which {@code src/engine/spec.rs} has the list; those that begin with {@code conf.} are options of Flink.
 */
public final class Job {
    private Job() {}

    static final TypeInformation<Row> ROWS = TypeInformation.of(Row.class);

    public static void main(String[] arguments) throws Exception {
        Map<String, String> told = new TreeMap<>();
        Configuration options = new Configuration();
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            String name = argument.substring(0, equals);
            String value = argument.substring(equals + 1);
            if (name.startsWith("conf.")) {
                options.setString(name.substring(5), value);
            } else {
                told.put(name, value);
            }
        }
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment(options);
        int parallelism = Integer.parseInt(told.get("parallelism"));
        environment.setParallelism(parallelism);
        environment.setMaxParallelism(Integer.parseInt(told.get("max-parallelism")));
        environment.getConfig().enableObjectReuse();

        boolean hasTextKeys = told.get("keys").equals("string");
        DataStream<Event> events = environment
                .fromSource(
                        new EventSource(told.get("events"), parallelism, Integer.parseInt(told.get("sample-every"))),
                        WatermarkStrategy.noWatermarks(),
                        "events",
                        new GenericTypeInfo<>(Event.class))
                .uid("events");
        Spec spec = new Spec(told, 0);
        DataStream<Row> rows = first(events, spec, keyType(hasTextKeys));
        for (int place = 1; (spec = new Spec(told, place)).exists(); place++) {
            rows = later(rows, spec);
        }
        rows.sinkTo(new DiscardingSink<>());
        environment.execute(told.get("name"));
    }

    @SuppressWarnings("unchecked")
    private static TypeInformation<Object> keyType(boolean isText) {
        return (TypeInformation<Object>) (TypeInformation<?>) (isText ? Types.STRING : Types.LONG);
    }

    /** The operator over the source. Each subtask has a file with the events of its own key groups, so nothing is exchanged. */
    private static DataStream<Row> first(DataStream<Event> events, Spec spec, TypeInformation<Object> keyType) {
        if (spec.text("operator").equals("window") && Windows.keepsBytes(spec)) {
            SingleOutputStreamOperator<Element> elements = events.map(Element::of, new Element.Type(spec.text("contents").equals("join")));
            return named(Windows.apply(DataStreamUtils.reinterpretAsKeyedStream(elements, Element::key, keyType), spec), spec);
        }
        return apply(DataStreamUtils.reinterpretAsKeyedStream(events, Event::key, keyType), spec);
    }

    private static DataStream<Row> later(DataStream<Row> rows, Spec spec) {
        return apply(rows.keyBy(field(spec.text("key")), keyType(false)), spec);
    }

    private static KeySelector<Row, Object> field(String name) {
        switch (name) {
            case "key":
                return row -> row.key;
            case "value":
                return row -> row.value;
            case "other":
                return row -> row.other;
            default:
                throw new IllegalArgumentException("no field " + name);
        }
    }

    private static <IN> DataStream<Row> apply(KeyedStream<IN, Object> stream, Spec spec) {
        if (spec.text("operator").equals("window")) {
            return named(Windows.apply(stream, spec), spec);
        }
        return named(stream.process(new OperatorFunction<IN>(spec, operator(spec)), ROWS), spec);
    }

    private static DataStream<Row> named(DataStream<Row> rows, Spec spec) {
        return ((SingleOutputStreamOperator<Row>) rows).name(spec.text("name")).uid("operator-" + spec.place());
    }

    /** The operator of a name: {@code open_operator} of {@code src/run/dispatch.rs}. */
    private static Operator operator(Spec spec) {
        switch (spec.text("operator")) {
            case "counter":
                return new Counter(spec);
            case "reduce":
                return new Reduce(spec);
            case "aggregate":
                return new Aggregate(spec);
            case "list-buffer":
                return new ListBuffer(spec);
            case "map":
                return new MapEntries(spec);
            case "value-of-map":
                return new ValueOfMap(spec);
            case "mix":
                return new Mix(spec);
            case "first-row":
                return new FirstRow(spec);
            case "last-row":
                return new LastRow(spec);
            case "regular-join":
                return new RegularJoin(spec);
            case "top-n":
                return new TopN(spec);
            case "interval-join":
                return new IntervalJoin(spec);
            case "temporal-join":
                return new TemporalJoin(spec);
            case "continuous-join":
                return new ContinuousJoin(spec);
            case "changelog-join":
                return new ChangelogJoin(spec);
            case "running-total":
                return new RunningTotal(spec);
            case "broadcast-rules":
                return new BroadcastRules(spec);
            case "source-offsets":
                return new SourceOffsets(spec);
            default:
                throw new IllegalArgumentException("no operator " + spec.text("operator"));
        }
    }
}
