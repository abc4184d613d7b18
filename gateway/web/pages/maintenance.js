/** Maintenance of a device: its alarms are not raised meanwhile. */

import { ask } from "./live.js";
import { filled, person, REASON } from "./people.js";

/** @typedef {import("./state.js").Suppression} Suppression */
/** @typedef {import("./state.js").Device} Device */

/** True for what a person began. @param {Suppression} one */
export function work(one) {
  return one.suppression === "maintenance";
}

/**
 * Begin maintenance of one of these devices: what stands then. Errors: Refusal, or nothing was answered.
 * @param {Device[]} devices
 */
export async function maintain(devices) {
  const by = await person();
  const [only] = devices;
  const which = /** @type {import("./people.js").Field} */ ({ name: "device", label: "Device", kind: "choice", choices: devices.map((one) => [one.id, one.label]) });
  const { device, minutes, reason } = await filled(
    "Begin maintenance", devices.length === 1 ? only.label : "Alarms of the device are not raised meanwhile.", "Begin",
    ...(devices.length === 1 ? [] : [which]),
    { name: "minutes", label: "For", kind: "choice", choices: [[30, "30 minutes"], [60, "1 hour"], [240, "4 hours"], [720, "12 hours"], [1440, "1 day"]] },
    { ...REASON, name: "reason" },
  );
  return ask(`/api/v1/devices/${encodeURIComponent(device ?? only.id)}/maintenance`, { by, minutes: Number(minutes), reason });
}
