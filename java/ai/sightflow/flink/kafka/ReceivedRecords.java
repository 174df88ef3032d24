package ai.sightflow.flink.kafka;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.Header;
import org.apache.flink.util.Collector;

/**
 * Hands a record of Kafka to Python as one array of bytes: partition, offset, time and number of
 * headers; then topic, key, name and value of each header, and the value, each behind its length as
 * an int. The length of what is null is -1.
 *
 * <p>Implements {@link KafkaRecordDeserializationSchema}, which PyFlink can only make for the value
 * alone. {@code sightflow.flink.kafka} reads these bytes.
 */
public class ReceivedRecords implements KafkaRecordDeserializationSchema<byte[]> {

    private static final long serialVersionUID = 1L;

    private static final int NUMBERS = Integer.BYTES + 2 * Long.BYTES;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<byte[]> out) {
        List<byte[]> parts = new ArrayList<>();
        parts.add(record.topic().getBytes(StandardCharsets.UTF_8));
        parts.add(record.key());
        int nHeaders = 0;
        for (Header header : record.headers()) {
            parts.add(header.key().getBytes(StandardCharsets.UTF_8));
            parts.add(header.value());
            nHeaders++;
        }
        parts.add(record.value());
        int size = NUMBERS + Integer.BYTES;
        for (byte[] part : parts) {
            size += Integer.BYTES + (part == null ? 0 : part.length);
        }
        ByteBuffer buffer = ByteBuffer.allocate(size);
        buffer.putInt(record.partition()).putLong(record.offset()).putLong(record.timestamp());
        buffer.putInt(nHeaders);
        for (byte[] part : parts) {
            buffer.putInt(part == null ? -1 : part.length);
            if (part != null) {
                buffer.put(part);
            }
        }
        out.collect(buffer.array());
    }

    @Override
    public TypeInformation<byte[]> getProducedType() {
        return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    }
}
