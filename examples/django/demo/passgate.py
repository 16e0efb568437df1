"""Takes Passgate's word for who is calling."""

from urllib.parse import unquote

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.http import JsonResponse
from django.utils.crypto import constant_time_compare

User = get_user_model()


class PassgateMiddleware:
    """Makes `request.user` whom Passgate names, for this request alone.

    Django's RemoteUserMiddleware would start a session: a row for every call of a client that keeps no cookies, and
    a cookie that goes on to be believed when Passgate no longer is asked.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.passgate = "X-Account-Id" in request.headers
        if request.passgate:
            if not constant_time_compare(request.headers.get("X-Passgate-Key", ""), settings.PASSGATE_KEY):
                return JsonResponse({"detail": "This did not come through Passgate."}, status=403)
            user = authenticate(request, passgate=request.headers)
            if user is None:
                challenge = {"WWW-Authenticate": 'Bearer realm="api"'}
                return JsonResponse({"detail": "User inactive or deleted."}, status=401, headers=challenge)

            async def auser():
                return user

            request.user, request.auser = user, auser
        return self.get_response(request)


class PassgateBackend(BaseBackend):
    """Finds whom Passgate names, or makes who is new."""

    def authenticate(self, request, passgate):
        try:
            user = known(passgate["X-User-Id"]) if "X-User-Id" in passgate else newcomer(passgate)
        except (ObjectDoesNotExist, ValidationError, ValueError):
            return None
        if not user.is_active:
            return None
        join_groups(user, passgate)
        return user


def known(key):
    # Whoever was imported from here is known by the primary key, and stays as they are.
    return User.objects.get(pk=unquote(key))


def newcomer(headers):
    # Never by the address: who has it over there need not be who had it here.
    blank = {"password": make_password(None)}
    user, _ = User.objects.get_or_create(username=headers["X-Account-Id"], defaults=blank)
    told = {
        "email": unquote(headers.get("X-User-Email", "")),
        "first_name": unquote(headers.get("X-User-Name", "")),
        # Without a password here there is no other way in, on which an older flag would count.
        "is_staff": headers.get("X-User-Staff") == "true" and not user.has_usable_password(),
    }
    changed = [field for field, value in told.items() if getattr(user, field) != value]
    if changed:
        for field in changed:
            setattr(user, field, told[field])
        user.save(update_fields=changed)
    return user


def join_groups(user, headers):
    if not settings.PASSGATE_GROUPS:
        return
    told = {unquote(name) for name in headers.get("X-User-Groups", "").split(",")} & settings.PASSGATE_GROUPS
    now = set(user.groups.filter(name__in=settings.PASSGATE_GROUPS).values_list("name", flat=True))
    if told != now:
        user.groups.remove(*Group.objects.filter(name__in=now - told))
        # A group that is not here is not made: it would have no permissions.
        user.groups.add(*Group.objects.filter(name__in=told - now))
