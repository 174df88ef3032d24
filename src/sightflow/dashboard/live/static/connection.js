// States of the run, as the server sends them. A connection that is lost is made again, for as long as the page is open.

const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 5000;

/** Calls `onState` with each state, which says whether more will come, and `onLost` when there is no connection any more. */
export const connect = (onState, onLost) => {
  let waitMs = FIRST_WAIT_MS;
  const open = () => {
    const source = new EventSource("state");
    source.onmessage = message => {
      const goesOn = onState(JSON.parse(message.data));
      waitMs = goesOn ? FIRST_WAIT_MS : MAX_WAIT_MS;
    };
    source.onerror = () => {
      source.close();
      onLost();
      setTimeout(open, waitMs);
      waitMs = Math.min(MAX_WAIT_MS, waitMs * 1.6);
    };
  };
  open();
};
