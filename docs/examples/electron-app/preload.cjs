// The only door between a window and the main process: calls with a name, and what the main process tells.
const { contextBridge, ipcRenderer } = require("electron");

contextBridge.exposeInMainWorld("gob", {
  call: (name, ...args) => ipcRenderer.invoke("gob", name, ...args),
  onTold: (listener) => ipcRenderer.on("gob", (_event, message) => listener(message)),
});
