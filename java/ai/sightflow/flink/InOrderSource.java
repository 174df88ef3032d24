package ai.sightflow.flink;

import java.util.Collection;
import java.util.List;

import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;

/**
 * A bounded source of the numbers 0 to count - 1, handed out in small ranges, lowest first, to
 * whichever reader asks next.
 *
 * <p>Implements {@link org.apache.flink.api.connector.source.Source}, Flink's source interface, by
 * extending {@link NumberSequenceSource}: readers, splits and serializers are Flink's own, only the
 * enumerator differs. PyFlink has no way to define a source in Python, and NumberSequenceSource
 * itself gives each reader one contiguous part of the input up front: the readers are then far apart
 * from the first record on, and the slowest one holds its whole part to the end. Here a reader asks
 * for the next range when it has emitted its last one, so the readers stay close together and a
 * slow one is only behind by its own range.
 *
 * <p>A reader keeps its unfinished range in its own checkpoint. After a restore it ends that range
 * first, so up to (old parallelism * rangeSize) numbers may come before a lower one.
 */
public class InOrderSource extends NumberSequenceSource {

    private static final long serialVersionUID = 1L;

    private final long rangeSize;

    /**
     * Describes the source.
     *
     * @param count how many numbers are emitted, at least 1
     * @param rangeSize how many consecutive numbers a reader gets at a time at most, from 1
     */
    public InOrderSource(long count, long rangeSize) {
        super(0L, atLeastOne("count", count) - 1);
        this.rangeSize = atLeastOne("rangeSize", rangeSize);
    }

    @Override
    public SplitEnumerator<NumberSequenceSplit, Collection<NumberSequenceSplit>> createEnumerator(
            SplitEnumeratorContext<NumberSequenceSplit> context) {
        NumberSequenceSplit everything =
                new NumberSequenceSplit(LowestFirstEnumerator.idOf(getFrom()), getFrom(), getTo());
        return new LowestFirstEnumerator(context, List.of(everything), rangeSize);
    }

    @Override
    public SplitEnumerator<NumberSequenceSplit, Collection<NumberSequenceSplit>> restoreEnumerator(
            SplitEnumeratorContext<NumberSequenceSplit> context,
            Collection<NumberSequenceSplit> remaining) {
        return new LowestFirstEnumerator(context, remaining, rangeSize);
    }

    private static long atLeastOne(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(
                    "InOrderSource: `" + name + "` must be at least 1; got " + value);
        }
        return value;
    }
}
