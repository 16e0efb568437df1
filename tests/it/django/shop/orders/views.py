"""An open view, one that needs a user, and one for staff."""

from rest_framework import permissions, response, views

from .models import Order


class Catalogue(views.APIView):
    permission_classes = [permissions.AllowAny]

    def get(self, request):
        return response.Response(["tea", "pot"])


class Orders(views.APIView):
    def get(self, request):
        items = Order.objects.filter(owner=request.user).values_list("item", flat=True)
        return response.Response({"id": request.user.pk, "email": request.user.email, "orders": list(items)})

    def post(self, request):
        Order.objects.create(owner=request.user, item=request.data["item"])
        return response.Response(status=201)


class Reports(views.APIView):
    permission_classes = [permissions.IsAdminUser]

    def get(self, request):
        return response.Response({"orders": Order.objects.count()})
