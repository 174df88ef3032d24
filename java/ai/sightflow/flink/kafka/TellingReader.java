package ai.sightflow.flink.kafka;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.Admin;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads by Flink's reader of Kafka, and tells the group when it closes where the last complete
 * checkpoint stood. What it cannot tell is logged: offsets of a group are news for people and for the
 * next job, and no part of what is done once.
 */
final class TellingReader implements SourceReader<byte[], KafkaPartitionSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(TellingReader.class);
    private static final long TIMEOUT_S = 5;

    private final SourceReader<byte[], KafkaPartitionSplit> reader;
    private final Properties properties;
    private final Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
    private final TreeMap<Long, Map<TopicPartition, OffsetAndMetadata>> seen = new TreeMap<>();
    private Map<TopicPartition, OffsetAndMetadata> done = Map.of();

    TellingReader(SourceReader<byte[], KafkaPartitionSplit> reader, Properties properties) {
        this.reader = reader;
        this.properties = properties;
    }

    @Override
    public void start() {
        reader.start();
    }

    @Override
    public InputStatus pollNext(ReaderOutput<byte[]> output) throws Exception {
        return reader.pollNext(output);
    }

    @Override
    public List<KafkaPartitionSplit> snapshotState(long checkpointId) {
        List<KafkaPartitionSplit> splits = reader.snapshotState(checkpointId);
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>(ends);
        for (KafkaPartitionSplit split : splits) {
            offsets.remove(split.getTopicPartition());
            if (split.getStartingOffset() >= 0) {
                offsets.put(
                        split.getTopicPartition(), new OffsetAndMetadata(split.getStartingOffset()));
            }
        }
        seen.put(checkpointId, offsets);
        return splits;
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) throws Exception {
        reader.notifyCheckpointComplete(checkpointId);
        done = seen.getOrDefault(checkpointId, done);
        seen.headMap(checkpointId, true).clear();
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return reader.isAvailable();
    }

    @Override
    public void addSplits(List<KafkaPartitionSplit> splits) {
        for (KafkaPartitionSplit split : splits) {
            split.getStoppingOffset()
                    .filter(offset -> offset >= 0)
                    .ifPresent(
                            offset ->
                                    ends.put(
                                            split.getTopicPartition(),
                                            new OffsetAndMetadata(offset)));
        }
        reader.addSplits(splits);
    }

    @Override
    public void notifyNoMoreSplits() {
        reader.notifyNoMoreSplits();
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        reader.handleSourceEvents(event);
    }

    @Override
    public void close() throws Exception {
        reader.close();
        if (done.isEmpty()) {
            return;
        }
        Admin admin = null;
        try {
            admin = Admin.create(properties);
            admin.alterConsumerGroupOffsets(properties.getProperty("group.id"), done)
                    .all()
                    .get(TIMEOUT_S, TimeUnit.SECONDS);
        } catch (Exception error) {
            LOG.warn("The group cannot be told where its reader stood, {}", done, error);
        } finally {
            if (admin != null) {
                admin.close(Duration.ofSeconds(TIMEOUT_S));
            }
        }
    }
}
