import express from "express";
import { passgate, required } from "./passgate.js";

const app = express();
app.disable("x-powered-by");
app.use(passgate(process.env.PASSGATE_KEY));

app.get("/public/", (req, res) => res.json({ user: req.user }));
app.get("/", required, (req, res) => res.json({ user: req.user }));

// The loopback interface: only Passgate beside it gets here.
const { HOST = "127.0.0.1", PORT = "8000" } = process.env;
app.listen(Number(PORT), HOST, (error) => {
  if (error) throw error;
  console.log(`listening on http://${HOST}:${PORT}`);
});
