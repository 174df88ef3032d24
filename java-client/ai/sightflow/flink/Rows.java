package ai.sightflow.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

import org.apache.flink.api.common.python.PythonBridgeUtils;
import org.apache.flink.api.python.shaded.net.razorvine.pickle.Pickler;
import org.apache.flink.table.types.DataType;
import org.apache.flink.types.Row;

/**
 * Hands rows of a query to Python many at a time.
 *
 * <p>Implements no interface of Flink. PyFlink asks Java five times for each row, which takes longer
 * than to recognise a picture; here one answer has all rows that are there. Each is as {@link
 * PythonBridgeUtils} makes it, so PyFlink reads it as any other.
 */
public final class Rows {

    private Rows() {}

    /**
     * Returns the next rows, pickled as a list; there must be one.
     *
     * @param rows of the query
     * @param types of its columns
     * @param atMost how many
     * @param forMs how long others are waited for, once there is one
     * @return the list, in the form of Python
     * @throws IOException if a value cannot be pickled
     */
    public static byte[] take(Iterator<Row> rows, DataType[] types, int atMost, int forMs)
            throws IOException {
        List<Object> taken = new ArrayList<>();
        long deadline = System.nanoTime() + forMs * 1_000_000L;
        do {
            taken.add(PythonBridgeUtils.getPickledBytesFromRow(rows.next(), types));
        } while (taken.size() < atMost && System.nanoTime() < deadline && rows.hasNext());
        return new Pickler().dumps(taken);
    }
}
