package ai.sightflow.flink;

import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.TimerHeapInternalTimer;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedDataStreamPythonFunctionOperator;
import org.apache.flink.streaming.api.operators.python.embedded.EmbeddedPythonKeyedProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.FlinkRuntimeException;

/**
 * Runs a Python {@code KeyedProcessFunction} and calls its {@code on_timer} with signals in place of
 * times: negative numbers, which {@code sightflow.flink.signals} reads.
 *
 * <ul>
 *   <li>Before each checkpoint barrier, for each key that had a record since the last one.
 *   <li>When a checkpoint is complete, for the keys that were told of its barrier.
 *   <li>When it opens from a checkpoint, and at the end of the input, for each key that has a state.
 * </ul>
 *
 * <p>Implements {@link org.apache.flink.streaming.api.operators.StreamOperator} by extending {@link
 * EmbeddedPythonKeyedProcessOperator}, which is {@code @Internal}. PyFlink tells Python nothing of
 * checkpoints or of the end, so that a function would have to write its state after each record,
 * however large it is, and could neither commit an output nor end what it follows.
 */
public class SignallingOperator<K, IN, OUT> extends EmbeddedPythonKeyedProcessOperator<K, IN, OUT> {

    private static final long serialVersionUID = 1L;

    private static final long END = Long.MIN_VALUE;
    private static final long OPENED = Long.MIN_VALUE + 1;

    private final Configuration configuration;
    private final TypeInformation<IN> inputType;
    private final String stateName;
    private final boolean commits;

    private transient Set<Object> keys;
    private transient TreeMap<Long, Set<Object>> told;
    private transient boolean isOpen;

    /**
     * Describes the operator as its parent does.
     *
     * @param configuration of the job
     * @param function the Python function
     * @param inputType of its records, with the key
     * @param outputType of what it emits
     * @param stateName name of the state that each key has
     * @param commits whether the function is told of complete checkpoints, and when it opens
     */
    public SignallingOperator(
            Configuration configuration,
            DataStreamPythonFunctionInfo function,
            TypeInformation<IN> inputType,
            TypeInformation<OUT> outputType,
            String stateName,
            boolean commits) {
        super(configuration, function, inputType, outputType);
        this.configuration = configuration;
        this.inputType = inputType;
        this.stateName = stateName;
        this.commits = commits;
    }

    @Override
    public void open() throws Exception {
        super.open();
        isOpen = true;
        keys = new LinkedHashSet<>();
        told = new TreeMap<>();
        if (commits) {
            signal(keysWithState(), OPENED);
        }
    }

    @Override
    public void processElement(StreamRecord<IN> element) throws Exception {
        super.processElement(element);
        keys.add(getKeyedStateBackend().getCurrentKey());
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        super.prepareSnapshotPreBarrier(checkpointId);
        signal(keys, -2 * checkpointId);
        if (commits) {
            told.put(checkpointId, keys);
        }
        keys = new LinkedHashSet<>();
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        super.notifyCheckpointComplete(checkpointId);
        Set<Object> done = new LinkedHashSet<>();
        told.headMap(checkpointId, true).values().forEach(done::addAll);
        told.headMap(checkpointId, true).clear();
        signal(done, -2 * checkpointId - 1);
    }

    /** Tells each key of the end; the function stays open for the last checkpoint. */
    @Override
    public void endInput() {
        Set<Object> all = new LinkedHashSet<>(keysWithState());
        all.addAll(keys);
        try {
            signal(all, END);
        } catch (Exception error) {
            throw new FlinkRuntimeException(error);
        }
        keys.addAll(all);
    }

    @Override
    public void close() throws Exception {
        try {
            if (isOpen) {
                isOpen = false;
                interpreter.invokeMethod("operation", "close", new Object[0]);
            }
        } finally {
            super.close();
        }
    }

    /** Returns the keys in the backend, in the order of their texts, so that runs are alike. */
    private List<Object> keysWithState() {
        try (Stream<Object> found =
                this.<Object>getKeyedStateBackend().getKeys(stateName, VoidNamespace.INSTANCE)) {
            return found.sorted(Comparator.comparing(Object::toString)).collect(Collectors.toList());
        }
    }

    private void signal(Iterable<?> receivers, long signal) throws Exception {
        for (Object key : receivers) {
            setCurrentKey(key);
            onProcessingTime(timer(signal, key));
        }
    }

    @SuppressWarnings("unchecked") // the key is one that the backend gave
    private InternalTimer<K, VoidNamespace> timer(long time, Object key) {
        return new TimerHeapInternalTimer<>(time, (K) key, VoidNamespace.INSTANCE);
    }

    @Override
    public <T> AbstractEmbeddedDataStreamPythonFunctionOperator<T> copy(
            DataStreamPythonFunctionInfo function, TypeInformation<T> outputType) {
        return new SignallingOperator<K, IN, T>(
                configuration, function, inputType, outputType, stateName, commits);
    }
}
