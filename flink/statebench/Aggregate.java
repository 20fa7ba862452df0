package statebench;

import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.state.AggregatingState;
import org.apache.flink.api.common.state.AggregatingStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.streaming.api.TimerService;

/** A running aggregate of the values of each key: {@code src/operator/aggregate.rs}. */
final class Aggregate extends Operator {
    private transient AggregatingState<Long, Long> aggregate;
    private transient boolean emits;

    Aggregate(Spec spec) {
        super(spec);
    }

    /** Count and sum. */
    static final class Average implements AggregateFunction<Long, Tuple2<Long, Long>, Long> {
        static final TypeInformation<Tuple2<Long, Long>> TYPE = Types.TUPLE(Types.LONG, Types.LONG);

        @Override
        public Tuple2<Long, Long> createAccumulator() {
            return Tuple2.of(0L, 0L);
        }

        @Override
        public Tuple2<Long, Long> add(Long value, Tuple2<Long, Long> kept) {
            return Tuple2.of(kept.f0 + 1, kept.f1 + value);
        }

        @Override
        public Long getResult(Tuple2<Long, Long> kept) {
            return Hashing.mix(kept.f0, kept.f1);
        }

        @Override
        public Tuple2<Long, Long> merge(Tuple2<Long, Long> a, Tuple2<Long, Long> b) {
            return Tuple2.of(a.f0 + b.f0, a.f1 + b.f1);
        }
    }

    /** Count, sum and largest value. */
    static final class Summary implements AggregateFunction<Long, Tuple3<Long, Long, Long>, Long> {
        static final TypeInformation<Tuple3<Long, Long, Long>> TYPE = Types.TUPLE(Types.LONG, Types.LONG, Types.LONG);

        @Override
        public Tuple3<Long, Long, Long> createAccumulator() {
            return Tuple3.of(0L, 0L, Long.MIN_VALUE);
        }

        @Override
        public Tuple3<Long, Long, Long> add(Long value, Tuple3<Long, Long, Long> kept) {
            return Tuple3.of(kept.f0 + 1, kept.f1 + value, Math.max(kept.f2, value));
        }

        @Override
        public Long getResult(Tuple3<Long, Long, Long> kept) {
            return Hashing.mix(Hashing.mix(kept.f0, kept.f1), kept.f2);
        }

        @Override
        public Tuple3<Long, Long, Long> merge(Tuple3<Long, Long, Long> a, Tuple3<Long, Long, Long> b) {
            return Tuple3.of(a.f0 + b.f0, a.f1 + b.f1, Math.max(a.f2, b.f2));
        }
    }

    @Override
    void open(RuntimeContext context) {
        emits = spec.flag("emit");
        switch (spec.text("function")) {
            case "average":
                aggregate = context.getAggregatingState(
                        spec.withTtl(new AggregatingStateDescriptor<>("aggregate", new Average(), Average.TYPE)));
                break;
            case "summary":
                aggregate = context.getAggregatingState(
                        spec.withTtl(new AggregatingStateDescriptor<>("aggregate", new Summary(), Summary.TYPE)));
                break;
            default:
                throw new IllegalArgumentException("no aggregate function " + spec.text("function"));
        }
    }

    @Override
    void process(Event event, TimerService time, Collected out) throws Exception {
        aggregate.add(event.value);
        if (emits) {
            Long now = aggregate.get();
            out.emit(event, now == null ? 0 : now);
        }
    }
}
