package ai.sightflow.flink;

import java.util.LinkedHashSet;
import java.util.Set;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.TimerHeapInternalTimer;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedDataStreamPythonFunctionOperator;
import org.apache.flink.streaming.api.operators.python.embedded.EmbeddedPythonKeyedProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Runs a Python {@code KeyedProcessFunction} and calls its {@code on_timer} before each checkpoint
 * barrier, once for each key that had a record since the last one, with the negative number of the
 * checkpoint as the time.
 *
 * <p>Implements {@link org.apache.flink.streaming.api.operators.StreamOperator} by extending {@link
 * EmbeddedPythonKeyedProcessOperator}, which is {@code @Internal}. PyFlink tells Python nothing of a
 * barrier, so that a function would have to write its state after each record, however large it is.
 */
public class RememberingOperator<K, IN, OUT> extends EmbeddedPythonKeyedProcessOperator<K, IN, OUT> {

    private static final long serialVersionUID = 1L;

    private final Configuration configuration;
    private final TypeInformation<IN> inputType;

    private transient Set<Object> keys;

    /**
     * Describes the operator as its parent does.
     *
     * @param configuration of the job
     * @param function the Python function
     * @param inputType of its records, with the key
     * @param outputType of what it emits
     */
    public RememberingOperator(
            Configuration configuration,
            DataStreamPythonFunctionInfo function,
            TypeInformation<IN> inputType,
            TypeInformation<OUT> outputType) {
        super(configuration, function, inputType, outputType);
        this.configuration = configuration;
        this.inputType = inputType;
    }

    @Override
    public void open() throws Exception {
        super.open();
        keys = new LinkedHashSet<>();
    }

    @Override
    public void processElement(StreamRecord<IN> element) throws Exception {
        super.processElement(element);
        keys.add(getKeyedStateBackend().getCurrentKey());
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        super.prepareSnapshotPreBarrier(checkpointId);
        for (Object key : keys) {
            setCurrentKey(key);
            onProcessingTime(timer(-checkpointId, key));
        }
        keys.clear();
    }

    @SuppressWarnings("unchecked") // the key is one that the backend gave
    private InternalTimer<K, VoidNamespace> timer(long time, Object key) {
        return new TimerHeapInternalTimer<>(time, (K) key, VoidNamespace.INSTANCE);
    }

    @Override
    public <T> AbstractEmbeddedDataStreamPythonFunctionOperator<T> copy(
            DataStreamPythonFunctionInfo function, TypeInformation<T> outputType) {
        return new RememberingOperator<K, IN, T>(configuration, function, inputType, outputType);
    }
}
