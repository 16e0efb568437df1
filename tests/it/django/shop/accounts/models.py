"""The tutorial's users: known by their address, which is unique to the letter."""

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class Account(AbstractUser):
    username = models.CharField(max_length=150)
    first_name = models.CharField(max_length=150)
    email = models.EmailField(unique=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["username", "first_name"]
    objects = UserManager()
