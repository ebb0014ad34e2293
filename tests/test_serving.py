"""The page on serving: its server in ten lines answers as the page says."""

import asyncio
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline

from chainrule import MLPClassifier, TableEncoder, save_model

PAGE = Path(__file__).parents[1] / "docs" / "serving.md"


def post(app, body):
    """Send JSON to /predict, as a web server would; return status and answer."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": "POST",
        "path": "/predict", "raw_path": b"/predict", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 50000),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_server_in_ten_lines(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    table = pl.DataFrame({"size": [50.0, 70, None, 90] * 20, "town": ["Bern", "Zug"] * 40})
    model = make_pipeline(TableEncoder(), MLPClassifier((3,), solver="lbfgs", max_iter=5))
    model.fit(table, np.array(["low", "high"] * 40))
    save_model(model, tmp_path / "houses.chainrule")
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    (server,) = [b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "FastAPI" in b]
    scope = {"__name__": "service"}
    exec(compile(server, "service.py", "exec"), scope)
    rows = json.loads(re.search(r"--json '(.*)'", text).group(1))
    assert post(scope["app"], rows) == (200, model.predict(pl.DataFrame(rows)).tolist())
    status, answer = post(scope["app"], [{"size": 85}])
    assert status == 422
    assert "the table lacks column 'town'" in answer["detail"]
    assert post(scope["app"], {"size": 85})[0] == 422
