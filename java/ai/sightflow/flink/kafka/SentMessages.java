package ai.sightflow.flink.kafka;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeader;

/**
 * Makes the messages of one sink into records of Kafka; those of other sinks, which come in the same
 * stream, are left out. A message is one array of bytes, which {@code sightflow.flink.kafka} writes:
 * number of its sink and number of headers, then topic, key, name and value of each header, and the
 * value, each behind its length as an int. The length of what is null is -1.
 *
 * <p>Implements {@link KafkaRecordSerializationSchema}, of which PyFlink offers none that takes topic
 * and key from the message.
 */
public class SentMessages implements KafkaRecordSerializationSchema<byte[]> {

    private static final long serialVersionUID = 1L;

    private final int sink;

    /**
     * Describes the schema.
     *
     * @param sink number of the sink whose messages are sent
     */
    public SentMessages(int sink) {
        this.sink = sink;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            byte[] message, KafkaSinkContext context, Long timestamp) {
        ByteBuffer buffer = ByteBuffer.wrap(message);
        if (buffer.getInt() != sink) {
            return null;
        }
        int nHeaders = buffer.getInt();
        String topic = text(buffer);
        byte[] key = next(buffer);
        List<Header> headers = new ArrayList<>();
        for (int i = 0; i < nHeaders; i++) {
            headers.add(new RecordHeader(text(buffer), next(buffer)));
        }
        return new ProducerRecord<>(topic, null, key, next(buffer), headers);
    }

    private static String text(ByteBuffer buffer) {
        return new String(next(buffer), StandardCharsets.UTF_8);
    }

    private static byte[] next(ByteBuffer buffer) {
        int length = buffer.getInt();
        if (length < 0) {
            return null;
        }
        byte[] part = new byte[length];
        buffer.get(part);
        return part;
    }
}
