package ai.sightflow.flink.kafka;

import java.io.IOException;
import java.util.List;
import java.util.Properties;

import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Flink's source of Kafka, whose end is one: a bounded job ends after a restore as well, and a group
 * is told where its readers stood when they close.
 *
 * <p>Implements {@link Source} around {@link KafkaSource} 5.0.0, which lacks both. After a restore
 * its enumerator finds no new partition, and then tells no reader that there will be none. Its
 * readers hand offsets to a thread that waits for records for ten seconds, and what it has not sent
 * when they close is lost.
 */
public class EndingKafkaSource
        implements Source<byte[], KafkaPartitionSplit, KafkaSourceEnumState> {

    private static final long serialVersionUID = 1L;

    private final KafkaSource<byte[]> source;
    private final Properties properties;

    /**
     * Describes the source.
     *
     * @param source what it reads by
     * @param properties of a client that tells a group where it stands; without a {@code group.id}
     *     none is told
     */
    public EndingKafkaSource(KafkaSource<byte[]> source, Properties properties) {
        this.source = source;
        this.properties = properties;
    }

    @Override
    public Boundedness getBoundedness() {
        return source.getBoundedness();
    }

    @Override
    public SourceReader<byte[], KafkaPartitionSplit> createReader(SourceReaderContext context)
            throws Exception {
        SourceReader<byte[], KafkaPartitionSplit> reader = source.createReader(context);
        return properties.containsKey("group.id") ? new TellingReader(reader, properties) : reader;
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> createEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context) {
        return source.createEnumerator(context);
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restoreEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context, KafkaSourceEnumState state)
            throws IOException {
        SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator =
                source.restoreEnumerator(context, state);
        boolean knowsAll = state.initialDiscoveryFinished() && state.unassignedSplits().isEmpty();
        boolean ends = getBoundedness() == Boundedness.BOUNDED && knowsAll;
        return ends ? new EndingEnumerator(enumerator, context) : enumerator;
    }

    @Override
    public SimpleVersionedSerializer<KafkaPartitionSplit> getSplitSerializer() {
        return source.getSplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<KafkaSourceEnumState> getEnumeratorCheckpointSerializer() {
        return source.getEnumeratorCheckpointSerializer();
    }

    /** Tells each reader that it gets no partition beside those that it has. */
    private static final class EndingEnumerator
            implements SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> {

        private final SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator;
        private final SplitEnumeratorContext<KafkaPartitionSplit> context;

        EndingEnumerator(
                SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> enumerator,
                SplitEnumeratorContext<KafkaPartitionSplit> context) {
            this.enumerator = enumerator;
            this.context = context;
        }

        @Override
        public void start() {
            enumerator.start();
        }

        @Override
        public void handleSplitRequest(int subtask, String hostname) {
            enumerator.handleSplitRequest(subtask, hostname);
        }

        @Override
        public void addSplitsBack(List<KafkaPartitionSplit> splits, int subtask) {
            enumerator.addSplitsBack(splits, subtask);
        }

        @Override
        public void addReader(int subtask) {
            enumerator.addReader(subtask);
            context.signalNoMoreSplits(subtask);
        }

        @Override
        public KafkaSourceEnumState snapshotState(long checkpointId) throws Exception {
            return enumerator.snapshotState(checkpointId);
        }

        @Override
        public void notifyCheckpointComplete(long checkpointId) throws Exception {
            enumerator.notifyCheckpointComplete(checkpointId);
        }

        @Override
        public void handleSourceEvent(int subtask, SourceEvent event) {
            enumerator.handleSourceEvent(subtask, event);
        }

        @Override
        public void close() throws IOException {
            enumerator.close();
        }
    }
}
