from fastapi import FastAPI

from passgate import Anybody, SignedIn

app = FastAPI()


@app.get("/public/")
def public(user: Anybody):
    return {"user": user}


@app.get("/")
def me(user: SignedIn):
    return {"user": user}
