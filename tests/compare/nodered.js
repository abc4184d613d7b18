// LIS01-A2 on a byte stream, one session a connection: acknowledge ENQ and good frames, pass results on at EOT.
const id = msg._session.id;
const open = context.get("open") || {};
const state = (open[id] = open[id] || { bytes: "", records: [] });
state.bytes += msg.payload.toString("latin1");
let reply = "";
const kept = [];
for (;;) {
    const first = state.bytes[0];
    if (first === undefined) break;
    if (first === "\x05") {
        state.records = [];
        reply += "\x06";
        state.bytes = state.bytes.slice(1);
    } else if (first === "\x02") {
        const end = state.bytes.indexOf("\n");
        if (end < 0) break;
        const body = state.bytes.slice(1, end - 3);
        let sum = 0;
        for (const c of body) sum = (sum + c.charCodeAt(0)) % 256;
        const good = sum.toString(16).toUpperCase().padStart(2, "0") === state.bytes.slice(end - 3, end - 1);
        if (good) state.records.push(body.slice(1).replace(/[\r\x03]/g, ""));
        reply += good ? "\x06" : "\x15";
        state.bytes = state.bytes.slice(end + 1);
    } else {
        if (first === "\x04") {
            let specimen = "";
            for (const record of state.records) {
                const fields = record.split("|");
                if (fields[0] === "O") specimen = fields[2];
                if (fields[0] === "R") kept.push({ payload: JSON.stringify([specimen, fields[3]]) });
            }
            state.records = [];
        }
        state.bytes = state.bytes.slice(1);
    }
}
context.set("open", open);
const answer = reply ? { ...msg, payload: Buffer.from(reply, "latin1") } : null;
return [answer, kept.length ? [kept].flat() : null];
