package ai.sightflow.flink;

import java.util.List;
import java.util.concurrent.CompletableFuture;

import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimitedSourceReader;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.core.io.InputStatus;

/**
 * An endless source of ticks at a fixed rate: the clock of sources that are written in Python. A tick
 * is the time at which it was emitted, in milliseconds since 1970.
 *
 * <p>Implements {@link org.apache.flink.api.connector.source.Source} by extending {@link
 * NumberSequenceSource}; only the reader differs, which waits for Flink's own rate limiter and emits
 * the time in place of the number. PyFlink has no way to define a source in Python. A Python function
 * behind this one is called once for each tick and looks each time whether something has come;
 * checkpoint barriers pass in between. By its time the function knows a tick that had to wait.
 */
public class TickSource extends NumberSequenceSource {

    private static final long serialVersionUID = 1L;

    private final double ticksPerSecond;

    /**
     * Describes the source; run it with parallelism 1.
     *
     * @param ticksPerSecond how many ticks are emitted in a second, more than 0
     */
    public TickSource(double ticksPerSecond) {
        super(0L, Long.MAX_VALUE - 1);
        if (!(ticksPerSecond > 0)) {
            throw new IllegalArgumentException(
                    "TickSource: `ticksPerSecond` must be more than 0; got " + ticksPerSecond);
        }
        this.ticksPerSecond = ticksPerSecond;
    }

    @Override
    public SourceReader<Long, NumberSequenceSplit> createReader(SourceReaderContext context) {
        return new RateLimitedSourceReader<>(
                new StampingReader(super.createReader(context)),
                RateLimiterStrategy.<NumberSequenceSplit>perSecond(ticksPerSecond)
                        .createRateLimiter(context.currentParallelism()));
    }

    /** Reads what another reader reads, and emits the time in place of each record. */
    private static final class StampingReader implements SourceReader<Long, NumberSequenceSplit> {

        private final SourceReader<Long, NumberSequenceSplit> reader;

        StampingReader(SourceReader<Long, NumberSequenceSplit> reader) {
            this.reader = reader;
        }

        @Override
        public void start() {
            reader.start();
        }

        @Override
        public InputStatus pollNext(ReaderOutput<Long> output) throws Exception {
            return reader.pollNext(new StampingOutput(output));
        }

        @Override
        public List<NumberSequenceSplit> snapshotState(long checkpointId) {
            return reader.snapshotState(checkpointId);
        }

        @Override
        public CompletableFuture<Void> isAvailable() {
            return reader.isAvailable();
        }

        @Override
        public void addSplits(List<NumberSequenceSplit> splits) {
            reader.addSplits(splits);
        }

        @Override
        public void notifyNoMoreSplits() {
            reader.notifyNoMoreSplits();
        }

        @Override
        public void close() throws Exception {
            reader.close();
        }
    }

    /** Passes the time on in place of each record. */
    private static final class StampingOutput implements ReaderOutput<Long> {

        private final ReaderOutput<Long> output;

        StampingOutput(ReaderOutput<Long> output) {
            this.output = output;
        }

        @Override
        public void collect(Long number) {
            output.collect(System.currentTimeMillis());
        }

        @Override
        public void collect(Long number, long timestamp) {
            output.collect(System.currentTimeMillis(), timestamp);
        }

        @Override
        public void emitWatermark(Watermark watermark) {
            output.emitWatermark(watermark);
        }

        @Override
        public void markIdle() {
            output.markIdle();
        }

        @Override
        public void markActive() {
            output.markActive();
        }

        @Override
        public SourceOutput<Long> createOutputForSplit(String splitId) {
            return output.createOutputForSplit(splitId);
        }

        @Override
        public void releaseOutputForSplit(String splitId) {
            output.releaseOutputForSplit(splitId);
        }
    }
}
